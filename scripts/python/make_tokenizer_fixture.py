"""Writes test/fixtures/tokenizer/hf-trained.json: the vocabulary that Hugging Face tokenizers learns from the fixture
text.

    python3 scripts/python/make_tokenizer_fixture.py

A byte-level BPE of 1,200 tokens from The Wind in the Willows (chapters are documents): the tokenizer.json written by
the library, and its ids of some strings.
"""

import gzip
import json
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

FOLDER = Path(__file__).parents[2] / "test" / "fixtures" / "tokenizer"
VOCAB_SIZE = 1200
SAMPLES = [
    "The Mole had been working very hard all the morning",
    "Rat's boat, they've said; I'll row—don't!",
    "  two  spaces\n\n\tand a tab \r\n",
    "naïve Zürich 日本語 \u0085\ufeff\u00a0 🙂👩‍👩‍👧",
    "1234567890 ½ ٣ Ⅻ",
    "x" * 50 + " " * 50,
    "",
]


def main() -> None:
    text = gzip.decompress((FOLDER / "wind-in-the-willows.txt.gz").read_bytes()).decode()
    documents = text.removesuffix("\n<|endoftext|>\n").split("\n<|endoftext|>\n")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        # The special token would get the first id; added afterwards it gets the last, as in GPT-2.
        vocab_size=VOCAB_SIZE - 1,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", normalized=False, special=True)])
    fixture = {
        "madeBy": f"scripts/python/make_tokenizer_fixture.py, tokenizers {tokenizers.__version__}",
        "tokenizer": json.loads(tokenizer.to_str()),
        "samples": [{"text": sample, "ids": tokenizer.encode(sample).ids} for sample in SAMPLES],
    }
    (FOLDER / "hf-trained.json").write_text(json.dumps(fixture, ensure_ascii=True) + "\n")


main()
