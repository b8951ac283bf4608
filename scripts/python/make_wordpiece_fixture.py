"""Writes test/fixtures/tokenizer/wordpiece.json.gz: transformers' encodings with small vocabularies of BERT's kind.

    python3 scripts/python/make_wordpiece_fixture.py          # the fixture
    python3 scripts/python/make_wordpiece_fixture.py FOLDER [TEXTS] [SEED]   # compares a folder's tokenizer: npx tsc -p . first

A WordPiece vocabulary is trained on The Wind in the Willows (chapters are documents), and encodes several hundred
texts in several variants: tokens, token types, offsets in UTF-16 units; pairs; truncation with its windows; decoded
text.
"""

import gzip
import json
import random
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import tokenizers
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer
from transformers.models.bert.tokenization_bert_legacy import BasicTokenizer, WordpieceTokenizer

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "test" / "fixtures" / "tokenizer"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789éüßİıςσΣ日本語한글가ñ.,!?'-—“”()[]#"
TEXTS = 300
PIECES = [
    "The Mole", "the River", "unaffable", "Ratty's", "don't", "café", "CAFE\u0301", "naïve", "Straße", "ΟΔΟΣ", "İstanbul", "ı", "日本語", "한국어",
    "\u1112\u1161\u11ab", "ﬁne", "①", "½", "🙂", "👩‍👧", "\u0000", "\ufffd", "\u200b", "\u00ad", "\u00a0", "\u3000", "\u2028", "\u0085", "\t", "\n", " ",
    "  ", "...", "--", "$5.00", "^_^", "`x`", "“quoted”", "¿qué?", "¡", "、", "。", "『", "x" * 101, "x" * 100, "ab" * 60, "[CLS]", "[SEP]", "[MASK]",
    "[mask]", "[UNK]", "##ing", "#", "foobar", "Foobar", "fooBAR", "\ufeff", "\u0301", "\u0323\u0301", "A\u030a", "\U0001d400", "\U0002b820", "\U00020000",
]  # fmt: skip


def documents() -> list[str]:
    text = gzip.decompress((FOLDER / "wind-in-the-willows.txt.gz").read_bytes()).decode()
    return text.removesuffix("\n<|endoftext|>\n").split("\n<|endoftext|>\n")


def train(lowercase: bool, size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=SPECIAL, initial_alphabet=sorted(set(ALPHABET)), show_progress=False
    )
    tokenizer.train_from_iterator(documents(), trainer)
    return tokenizer


def vocabulary(lowercase: bool) -> list[str]:
    """Sorted, because tokenizers numbers the pieces of one character differently in each run."""
    trained = set(train(lowercase, 1000).get_vocab())
    # Pieces of one character that continue a word, so that words with rare letters are not all unknown.
    trained |= {f"##{char}" for char in ALPHABET}
    return SPECIAL + sorted(trained - set(SPECIAL))


def texts(rng: random.Random, count: int) -> list[str]:
    words = " ".join(documents())[:20000].split(" ")
    found = ["", " ", *PIECES]
    while len(found) < count:
        parts = [rng.choice(PIECES) if rng.random() < 0.5 else rng.choice(words) for _ in range(rng.randint(1, 14))]
        found.append(rng.choice(["", " "]).join(parts))
    return found


def random_text(rng: random.Random) -> str:
    ranges = [(0, 0x7F), (0x80, 0x24F), (0x300, 0x36F), (0x370, 0x1FFF), (0x2000, 0x2FFF), (0x3000, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x1FFFF), (0x20000, 0x2FFFF), (0x300, 0x36F), (0x8D0, 0x8FF)]
    pieces = [lambda: chr(rng.randint(*rng.choice(ranges))), lambda: rng.choice(PIECES), lambda: " "]
    return "".join(rng.choice(pieces)() for _ in range(rng.randint(0, 20)))


def utf16(text: str) -> list[int]:
    places = [0]
    for char in text:
        places.append(places[-1] + (2 if ord(char) > 0xFFFF else 1))
    return places


def encoded(encoding, *samples: str) -> list:
    """ids, token types, offsets, text of each token or -1."""
    places = [utf16(sample) for sample in samples]
    owners = [-1 if s is None else s for s in encoding.sequence_ids]
    offsets = [[0, 0] if s < 0 else [places[s][a], places[s][b]] for s, (a, b) in zip(owners, encoding.offsets, strict=True)]
    return [encoding.ids, encoding.type_ids, [n for pair in offsets for n in pair], owners]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


VARIANTS = {
    "uncased": {},
    "cased": {"do_lower_case": False},
    "cased, accents stripped": {"do_lower_case": False, "strip_accents": True},
    "uncased, accents kept": {"strip_accents": False},
    "Chinese characters not split": {"tokenize_chinese_chars": False},
    "added words": {
        "added_tokens_decoder": {
            **{str(i): {"content": t, "special": True, "normalized": False, "lstrip": t == "[MASK]", "rstrip": False, "single_word": False} for i, t in enumerate(SPECIAL)},
            "900000": {"content": "Foobar", "special": False, "normalized": True, "lstrip": False, "rstrip": False, "single_word": False},
        }
    },
}  # fmt: skip
TRUNCATIONS = [
    {"maxLength": 8}, {"maxLength": 12, "stride": 3}, {"maxLength": 16, "strategy": "only_second", "stride": 4},
    {"maxLength": 14, "strategy": "only_first", "stride": 0}, {"maxLength": 9, "strategy": "longest_first", "stride": 1}, {"maxLength": 3},
]  # fmt: skip


def truncated(tokenizer, a: str, b: str | None, options: dict) -> list | None:
    backend = tokenizer.backend_tokenizer
    backend.enable_truncation(options["maxLength"], stride=options.get("stride", 0), strategy=options.get("strategy", "longest_first"))
    try:
        whole = backend.encode(a, b) if b is not None else backend.encode(a)
        return [encoded(e, a, b or "") for e in [whole, *whole.overflowing]]
    except BaseException:  # what can't make room raises, or panics
        return None
    finally:
        backend.no_truncation()


def load(vocab: list[str], config: dict, parent: str) -> tuple[dict[str, str], object]:
    decoder = config.get("added_tokens_decoder", {})
    if "900000" in decoder:
        decoder = {(str(len(vocab)) if key == "900000" else key): value for key, value in decoder.items()}
        config = {**config, "added_tokens_decoder": decoder}
    files = {"tokenizer_config.json": json.dumps({"tokenizer_class": "BertTokenizer", **config})}
    folder = Path(tempfile.mkdtemp(dir=parent))
    write(folder, {**files, "vocab.txt": "".join(f"{token}\n" for token in vocab), "config.json": '{"model_type": "bert"}'})
    return files, AutoTokenizer.from_pretrained(folder)


def make() -> None:
    transformers.logging.set_verbosity_error()
    samples = texts(random.Random(2), TEXTS)
    vocabs = {True: vocabulary(True), False: vocabulary(False)}
    variants = []
    with tempfile.TemporaryDirectory() as parent:
        for name, config in VARIANTS.items():
            vocab = vocabs[config.get("do_lower_case", True)]
            files, tokenizer = load(vocab, config, parent)
            backend = tokenizer.backend_tokenizer
            pairs = [(samples[i], samples[-i - 1]) for i in range(0, len(samples) // 2, 3)]
            variants.append({
                "name": name,
                "vocab": vocab,
                "files": files,
                "encoded": [encoded(backend.encode(text), text) for text in samples],
                "pairs": [[a, b, encoded(backend.encode(a, b), a, b)] for a, b in pairs],
                "decoded": [tokenizer.decode(tokenizer(text)["input_ids"]) for text in samples],
                "skipped": [tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) for text in samples],
                "truncated": [
                    [options, a, b, truncated(tokenizer, a, b, options)]
                    for options in TRUNCATIONS for a, b in [(samples[-1], None), *pairs[-12:], (samples[-3], "a"), ("a", samples[-2])]
                ] if name == "uncased" else [],
            })  # fmt: skip
            print(name, len(vocab))
    legacy = [legacy_tokens(vocabs[lower], lower, samples) for lower in (True, False)]
    # Sizes at which tokenizers learns the same set in every run; at others, the choice among equally frequent pairs
    # varies.
    sizes = {size: sorted(train(True, size).get_vocab()) for size in (620, 640, 1000)}
    fixture = {
        "madeBy": f"make_wordpiece_fixture.py, transformers {transformers.__version__}, tokenizers {tokenizers.__version__}",
        "alphabet": "".join(sorted(set(ALPHABET))),
        "texts": samples,
        "variants": variants,
        "legacy": legacy,
        "trained": sizes,
    }
    text = json.dumps(fixture, separators=(",", ":"))
    (FOLDER / "wordpiece.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def legacy_tokens(vocab: list[str], lowercase: bool, samples: list[str]) -> list[list[int]]:
    """Ids by Google's tokenizer, without special tokens."""
    basic = BasicTokenizer(do_lower_case=lowercase)
    ids = {token: i for i, token in enumerate(vocab)}
    wordpiece = WordpieceTokenizer(ids, "[UNK]")
    return [[ids[t] for word in basic.tokenize(text) for t in wordpiece.tokenize(word)] for text in samples]


NODE = """
import { readFileSync } from "node:fs";
const [url] = process.argv.slice(1);
const { loadWordPiece } = await import(url);
const { folder, texts } = JSON.parse(readFileSync(0, "utf8"));
const tokenizer = await loadWordPiece(folder);
const all = { allowedSpecial: "all" };
const legacy = new tokenizer.constructor({ ...tokenizer.vocabulary, normalizer: { ...tokenizer.vocabulary.normalizer, legacy: true } });
const one = (e) => [[...e.ids], [...e.typeIds], [...e.offsets], [...e.texts]];
console.log(JSON.stringify(texts.map((text) => [one(tokenizer.encode(text, all)), tokenizer.decode(tokenizer.encode(text, all).ids),
  [...legacy.encode(text, { addSpecialTokens: false }).ids]])));
"""


def compare(folder: str, count: int, seed: int) -> None:
    rng = random.Random(seed)
    samples = [*texts(rng, 2000), *documents(), *(random_text(rng) for _ in range(count))]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # Some files ask for both; transformers disables them unless a call asks for them.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    url = (ROOT / "dist/src/tokenizer/wordpiece/files.js").as_uri()
    job = json.dumps({"folder": folder, "texts": samples})
    ran = subprocess.run(["node", "--input-type=module", "-e", NODE, url], input=job, capture_output=True, text=True, check=True)
    different = legacy_different = between = 0
    vocab = Path(folder, "vocab.txt").read_text().splitlines()
    lowercase = json.loads(Path(folder, "tokenizer_config.json").read_text()).get("do_lower_case", True)
    legacy = legacy_tokens(vocab, lowercase, samples)
    plain = AutoTokenizer.from_pretrained(folder, split_special_tokens=True)
    for sample, (*ours, old), old_ids in zip(samples, json.loads(ran.stdout), legacy, strict=True):
        between += plain(sample, add_special_tokens=False)["input_ids"] != old_ids
        # Characters that this Python's Unicode lacks are dropped by Google's tokenizer only.
        if old != old_ids and all(unicodedata.category(char) != "Cn" for char in sample):
            legacy_different += 1
            if legacy_different <= 10:
                print(json.dumps({"legacy": sample[:200], "ours": old, "theirs": old_ids})[:1000])
        encoding = tokenizer.backend_tokenizer.encode(sample)
        theirs = [encoded(encoding, sample), tokenizer.decode(encoding.ids)]
        if ours != theirs:
            different += 1
            if different <= 10:
                print(json.dumps({"text": sample[:200], "ours": ours, "theirs": theirs})[:1500])
    print(f"{len(samples)} texts: {different} differ; of Google's tokenizer {legacy_different}; it and tokenizers: {between}")
    sys.exit(different + legacy_different > 0)


if len(sys.argv) > 1:
    compare(sys.argv[1], *(int(arg) for arg in (sys.argv[2:] + ["20000", "3"][len(sys.argv) - 2 :])))
else:
    make()
