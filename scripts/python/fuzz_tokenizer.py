"""Compares ids with transformers' over random tokenizers and random texts.

    npx tsc -p . && python3 scripts/python/fuzz_tokenizer.py [TOKENIZERS] [TEXTS] [SEED]

Each tokenizer is hf-trained.json's with random added tokens (all flags), settings and missing bytes, written as a
folder; each text mixes random code points of all kinds with pieces that are special to the tokenizer. Prints the
differences, and exits with 1 if there are any.
"""

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import transformers
from transformers import AutoTokenizer

ROOT = Path(__file__).parents[2]
BASE = json.loads((ROOT / "test/fixtures/tokenizer/hf-trained.json").read_text())["tokenizer"]
FILES = (ROOT / "dist/src/tokenizer/files.js").as_uri()
END = "<|endoftext|>"
PIECES = ["foo", "bar", "foobar", "the", "Ġthe", "<s>", "</s>", "[M]", "a", "é", "日本", "🙂", "\n", " x", "x ", "1", "'s", "_", "é", END]
NODE = f"""
import {{ readFileSync }} from "node:fs";
const {{ loadTokenizer }} = await import({FILES!r});
for (const {{ folder, texts }} of JSON.parse(readFileSync(0, "utf8"))) {{
  const tokenizer = await loadTokenizer(folder);
  const ids = texts.map((text) => [
    [...tokenizer.encode(text, {{ allowedSpecial: "all" }})],
    [...tokenizer.encode(text, {{ addSpecialTokens: false }})],
    tokenizer.decode(tokenizer.encode(text, {{ addSpecialTokens: false }})),
  ]);
  console.log(JSON.stringify(ids));
}}
"""


def code_point(rng: random.Random) -> str:
    ranges = [(0, 0x7F), (0x80, 0x7FF), (0x800, 0xFFFF), (0x10000, 0x1FFFF), (0xE0000, 0xE01FF), (0x300, 0x36F), (0x2000, 0x206F)]
    while True:
        c = rng.randint(*rng.choice(ranges))
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def text(rng: random.Random) -> str:
    kinds = [lambda: code_point(rng), lambda: rng.choice(PIECES), lambda: rng.choice(" \n\t\u00a0\u0085\u3000\ufeff") * rng.randint(1, 3)]
    letters = [lambda: "".join(rng.choice("etaoin shrdlu'sT") for _ in range(rng.randint(1, 9)))]
    return "".join(rng.choice(kinds + letters)() for _ in range(rng.randint(0, 12)))


def added(rng: random.Random, content: str, id: int) -> dict:
    flags = {flag: rng.random() < 0.25 for flag in ("single_word", "lstrip", "rstrip", "special")}
    return {"id": id, "content": content, **flags, "normalized": rng.random() < 0.5}


def folder(rng: random.Random, path: Path) -> None:
    model = json.loads(json.dumps(BASE["model"]))
    if rng.random() < 0.3:
        gone = rng.sample("eĠĊÃâx1", 2)
        kept = [t for t in model["vocab"] if not any(g in t for g in gone)]
        model["merges"] = [m for m in model["merges"] if all(t in kept for t in (*m, "".join(m)))]
        model["vocab"] = {t: i for i, t in enumerate(["<unk>", *kept])}
        if rng.random() < 0.5:
            model |= {"unk_token": "<unk>", "fuse_unk": rng.random() < 0.5}
    size = len(model["vocab"])
    tokens: list[dict] = []
    for content in [END, *rng.sample(PIECES[:-1], rng.randint(0, 5))]:
        new = size + sum(t["id"] >= size for t in tokens)
        tokens.append(added(rng, content, model["vocab"].get(content, new)))
    tokens[0] |= {"special": True}
    pre = {**BASE["pre_tokenizer"], "add_prefix_space": rng.random() < 0.3}
    file = {**BASE, "model": model, "added_tokens": tokens, "pre_tokenizer": pre}
    path.mkdir()
    (path / "tokenizer.json").write_text(json.dumps(file))
    if rng.random() < 0.7:
        (path / "config.json").write_text('{"model_type": "gpt2"}')
        config: dict = {"add_prefix_space": rng.random() < 0.5}
        if rng.random() < 0.5:
            config["tokenizer_class"] = rng.choice(["GPT2Tokenizer", "GPT2TokenizerFast", "PreTrainedTokenizerFast"])
        if rng.random() < 0.5:
            config["pad_token"] = rng.choice(PIECES[:-1])
        (path / "tokenizer_config.json").write_text(json.dumps(config))


def main() -> None:
    count, texts, seed = (int(arg) for arg in (sys.argv[1:] + ["100", "300", "1"][len(sys.argv) - 1 :]))
    transformers.logging.set_verbosity_error()
    rng = random.Random(seed)
    different = panics = 0
    with tempfile.TemporaryDirectory() as parent:
        jobs = []
        for i in range(count):
            folder(rng, Path(parent) / str(i))
            jobs.append({"folder": str(Path(parent) / str(i)), "texts": [text(rng) for _ in range(texts)]})
        ran = subprocess.run(["node", "--input-type=module", "-e", NODE], input=json.dumps(jobs), capture_output=True, text=True)
        sys.stderr.write(ran.stderr)
        for job, line in zip(jobs, ran.stdout.rstrip("\n").split("\n"), strict=True):
            special = AutoTokenizer.from_pretrained(job["folder"])
            plain = AutoTokenizer.from_pretrained(job["folder"], split_special_tokens=True)
            for sample, ours in zip(job["texts"], json.loads(line), strict=True):
                try:
                    ids = plain(sample, add_special_tokens=False)["input_ids"]
                    theirs = [special(sample)["input_ids"], ids, plain.decode(ids)]
                except BaseException as error:  # tokenizers panics where one token's white space contains another
                    if "bad split" not in str(error):
                        raise
                    panics += 1
                    continue
                if ours[:2] == theirs[:2]:
                    continue
                different += 1
                if different <= 20:
                    print(json.dumps({"text": sample, "ours": ours, "theirs": theirs, "folder": job["folder"]}))
                    if different == 1:
                        print((Path(job["folder"]) / "tokenizer.json").read_text()[:900])
                        for name in ("config.json", "tokenizer_config.json"):
                            there = Path(job["folder"]) / name
                            print(name, there.read_text() if there.exists() else None)
    print(f"{count} tokenizers, {count * texts} texts: {different} differ, {panics} panics of tokenizers")
    sys.exit(different > 0)


main()
