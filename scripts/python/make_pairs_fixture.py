"""Writes test/fixtures/evaluate/pairs.json: contexts and continuations as tokenized by the LM evaluation harness.

    pip install lm-eval==0.4.13 && npm run build && python3 scripts/python/make_pairs_fixture.py

Words cut in the middle, spaces on either side, and ordinary pairs; the tokens are those of the harness's own
`TemplateLM._encode_pair`, with GPT-2's vocabulary.
"""

import json
import subprocess
import tempfile
from pathlib import Path

import transformers
from lm_eval.models.huggingface import HFLM

ROOT = Path(__file__).parents[2]
OUT = ROOT / "test" / "fixtures" / "evaluate" / "pairs.json"
SAVE_TOKENIZER = """
const [dist, folder] = process.argv.slice(1);
const { gpt2Tokenizer } = await import(`${dist}/src/tokenizer/index.js`);
const { saveTokenizer } = await import(`${dist}/src/tokenizer/files.js`);
await saveTokenizer(await gpt2Tokenizer(), folder);
"""
WORDS = "understanding international responsibility photographers government straightforward neighbourhood encyclopaedia".split()


class Cutter:
    """The parts of the harness's model that tokenizing needs: no weights."""

    AUTO_MODEL_CLASS = transformers.AutoModelForCausalLM
    backend = "causal"
    _encode_pair = HFLM._encode_pair

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def tok_encode(self, string, **_):
        return self.tokenizer.encode(string, add_special_tokens=False)


def main():
    with tempfile.TemporaryDirectory() as folder:
        dist = (ROOT / "dist").as_uri()
        subprocess.run(["node", "--input-type=module", "-e", SAVE_TOKENIZER, dist, folder], check=True, cwd=ROOT)
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(Path(folder) / "tokenizer.json"))
    cutter = Cutter(tokenizer)
    texts = [(f"The {word[:at]}", word[at:] + end) for word in WORDS for at in (2, 5, 8) for end in ("", " of it")]
    texts += [("The cat ", "sat"), ("The cat", " sat"), ("The cat  ", " sat"), ("Q: Why?\nA:", " Because"), ("a\n", "b")]
    pairs = []
    for context, continuation in texts:
        before, after = cutter._encode_pair(context, continuation)
        # The harness refuses pairs left without a continuation.
        if before and after:
            pairs.append({"context": context, "continuation": continuation, "ids": [before, after]})
    OUT.write_text(json.dumps(pairs, indent=0) + "\n")
    print(f"{len(pairs)} of {len(texts)} pairs")


if __name__ == "__main__":
    main()
