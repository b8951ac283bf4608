"""Checks that Hugging Face tokenizers reads the tokenizer.json this project writes, and agrees with it on every id.

    npm run build && python3 scripts/python/check_tokenizer.py [FOLDER ...] [--text FILE] [--dist dist]

Each FOLDER holds a tokenizer that this project wrote (models/default if none is given); it is also rewritten by this
project, and so is GPT-2's own. Ids are compared on the oracle's strings and on the text, and so is training on the
text. Not part of `npm test`: it needs Python.
"""

import argparse
import gzip
import json
import subprocess
import tempfile
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "test" / "fixtures" / "tokenizer"
NODE = """
import { readFileSync } from "node:fs";
const [dist, input, out, vocabSize, ...folders] = process.argv.slice(1);
const { gpt2Tokenizer, trainTokenizer } = await import(`${dist}/src/tokenizer/index.js`);
const { loadTokenizer, saveTokenizer } = await import(`${dist}/src/tokenizer/files.js`);
const texts = JSON.parse(readFileSync(input, "utf8"));
const trained = await trainTokenizer(texts.slice(-1), { vocabSize: Number(vocabSize) });
const tokenizers = [await gpt2Tokenizer(), trained, ...(await Promise.all(folders.map(loadTokenizer)))];
const ids = [];
for (const [i, tokenizer] of tokenizers.entries()) {
  await saveTokenizer(tokenizer, `${out}/${i}`);
  ids.push(texts.map((text) => Array.from(tokenizer.encode(text, { allowedSpecial: "all" }))));
}
console.log(JSON.stringify(ids));
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--text", type=Path, default=FIXTURES / "wind-in-the-willows.txt.gz")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    parser.add_argument("--vocab-size", type=int, default=4000)
    args = parser.parse_args()
    folders = args.folders or [ROOT / "models" / "default"]
    raw = args.text.read_bytes()
    text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
    oracle = gzip.decompress((FIXTURES / "gpt2-oracle.jsonl.gz").read_bytes()).decode()
    texts = [json.loads(line)["text"] for line in oracle.strip("\n").split("\n")] + [text]

    with tempfile.TemporaryDirectory() as out:
        (Path(out) / "texts.json").write_text(json.dumps(texts))
        command = ["node", "--input-type=module", "-e", NODE, args.dist.resolve(), f"{out}/texts.json", out]
        command += [str(args.vocab_size), *[folder.resolve() for folder in folders]]
        ours = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        names = ["GPT-2", f"trained on {args.text.name}", *map(str, folders)]
        written = [Path(out) / str(i) for i in range(len(names))]
        for name, ids, path in zip(names, ours, written, strict=True):
            compare(f"{name}, written by us", ids, path, texts)
        for name, ids, path in zip(names[2:], ours[2:], folders, strict=True):
            compare(name, ids, path, texts)
        compare_training(text, args.vocab_size, written[1])


def compare(name: str, ours: list[list[int]], folder: Path, texts: list[str]) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    theirs = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    different = sum(a != b for a, b in zip(ours, theirs, strict=True))
    print(f"{name}: {tokenizer.get_vocab_size()} tokens, {different} of {len(texts)} texts differ")
    assert different == 0


def compare_training(text: str, vocab_size: int, folder: Path) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1, min_frequency=2, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([text], trainer)
    theirs = [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
    ours = [tuple(line.split(" ")) for line in (folder / "merges.txt").read_text().splitlines()[1:]]
    print(f"training: {len(ours)} merges, {sum(a != b for a, b in zip(ours, theirs, strict=True))} differ")
    assert ours == theirs


main()
