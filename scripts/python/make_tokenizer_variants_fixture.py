"""Writes test/fixtures/tokenizer/variants.json.gz: the ids of transformers' AutoTokenizer for variants of one tokenizer.

    python3 scripts/python/make_tokenizer_variants_fixture.py

The tokenizer is that of hf-trained.json (make_tokenizer_fixture.py). Each variant is a folder. The fixture keeps its
files by name, except the vocabulary, which it stores as changes of hf-trained.json. For each text it has the ids with
special tokens recognized (transformers' default), and the ids without recognizing them and without those around the
text.
"""

import gzip
import json
import random
import tempfile
from pathlib import Path

import tokenizers
import transformers
from transformers import AutoTokenizer

FOLDER = Path(__file__).parents[2] / "test" / "fixtures" / "tokenizer"
BASE = json.loads((FOLDER / "hf-trained.json").read_text())["tokenizer"]
GPT2 = {"model_type": "gpt2"}
END = "<|endoftext|>"
TEXTS = 400

PIECES = [
    "foobar", "foo", "bar", "barn", "Mole", "the", "The", " ", "  ", "\n", "\t", "\r\n", "\u00a0", "\u0085", "\ufeff",
    END, "<|end", "of", "text|>", "</s>", "<s>", "<unk>", "[PAD]", "[MASK]", "<mask>", "a", "e", "s", "'s", "'ll", ".", ",",
    "!", "é", "ü", "ß", "日本", "語", "🙂", "👩‍👧", "1", "23", "_", "-", "٣", "½", "\u0301", "\u200d", "ﬁ", "Ġthe", "Ġ", "x", "[", "]",
]  # fmt: skip


def texts() -> list[str]:
    rng = random.Random(1)
    found = ["", " ", "\n", *PIECES]
    while len(found) < TEXTS:
        found.append("".join(rng.choice(PIECES) for _ in range(rng.randint(1, 12))))
    return found


def added(content: str, id: int, special: bool = False, **flags: bool) -> dict:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": not special}
    return {"id": id, "content": content, **plain, **flags, "special": special}


def template(before: list[tuple[str, int]], after: list[tuple[str, int]]) -> dict:
    piece = lambda token: {"SpecialToken": {"id": token, "type_id": 0}}  # noqa: E731
    a, b = ({"Sequence": {"id": id, "type_id": type}} for id, type in (("A", 0), ("B", 1)))
    single = [piece(t) for t, _ in before] + [a] + [piece(t) for t, _ in after]
    special = {t: {"id": t, "ids": [id], "tokens": [t]} for t, id in before + after}
    return {"type": "TemplateProcessing", "single": single, "pair": [*single, b], "special_tokens": special}


EOT = added(END, 1199, True)
ANY_CLASS = {"tokenizer_class": "PreTrainedTokenizerFast"}
PREFIX = {"pre_tokenizer": {**BASE["pre_tokenizer"], "add_prefix_space": True}}


def decoder(*tokens: dict) -> dict:
    return {"added_tokens_decoder": {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in tokens}}


def vocab_without(*letters: str) -> dict:
    """A vocabulary without the tokens that contain some letters, like one trained on other text."""
    kept = {token for token in BASE["model"]["vocab"] if not any(letter in token for letter in letters)}
    merges = [m for m in BASE["model"]["merges"] if all(t in kept for t in (*m, "".join(m)))]
    ids = {token: id for id, token in enumerate(["<unk>", *sorted(kept, key=BASE["model"]["vocab"].get)])}
    return {"vocab": ids, "merges": merges}


def model(**changes: object) -> dict:
    return {"model": {**BASE["model"], **changes}}


# name: (changes of tokenizer.json, or None for vocab.json and merges.txt; other files)
VARIANTS: dict[str, tuple[dict | None, dict]] = {
    "tokenizer.json alone": ({}, {}),
    "with config.json": ({}, {"config.json": GPT2}),
    "vocab.json and merges.txt": (None, {"config.json": GPT2}),
    "an added word": ({"added_tokens": [EOT, added("foobar", 1200)]}, {}),
    "added words that overlap": (
        {"added_tokens": [EOT, added("foo", 1200), added("foobar", 1201), added("barn", 1202, normalized=False)]},
        {},
    ),
    "an ordinary token as added": ({"added_tokens": [EOT, added("the", BASE["model"]["vocab"]["the"]), added("Ġthe", BASE["model"]["vocab"]["Ġthe"])]}, {}),
    "single words": ({"added_tokens": [EOT, added("foo", 1200, single_word=True), added("日本", 1201, single_word=True)]}, {}),
    "lstrip": ({"added_tokens": [EOT, added("[MASK]", 1200, lstrip=True), added("foo", 1201, lstrip=True)]}, {}),
    "rstrip": ({"added_tokens": [EOT, added("[MASK]", 1200, rstrip=True), added("foo", 1201, rstrip=True), added("\n", 1202)]}, {}),
    "white space that takes white space": ({"added_tokens": [EOT, added("\n", 1200, lstrip=True, rstrip=True), added(" ", 1201, True, rstrip=True)]}, {}),
    "special with flags": (
        {"added_tokens": [added(END, 1199, True, lstrip=True, rstrip=True), added("<mask>", 1200, True, lstrip=True, normalized=True)]},
        {},
    ),
    "part of a special token": ({"added_tokens": [EOT, added("of", 1200), added("text|>", 1201, normalized=False)]}, {}),
    "prefix space": (PREFIX, {}),
    "prefix space, GPT2Tokenizer": (PREFIX, {"config.json": GPT2}),
    "prefix space, another class": (PREFIX, {"config.json": GPT2, "tokenizer_config.json": ANY_CLASS}),
    "prefix space in the config, another class": ({}, {"config.json": GPT2, "tokenizer_config.json": {**ANY_CLASS, "add_prefix_space": True}}),
    "prefix space in the config": ({}, {"config.json": GPT2, "tokenizer_config.json": {"add_prefix_space": True}}),
    "prefix space and an added word": (
        {"added_tokens": [EOT, added("foobar", 1200)], **PREFIX},
        {"config.json": GPT2, "tokenizer_config.json": {"tokenizer_class": "GPT2TokenizerFast", "add_prefix_space": True}},
    ),
    "add_bos_token, tokenizer.json": ({}, {"config.json": GPT2, "tokenizer_config.json": {"add_bos_token": True}}),
    "add_bos_token, vocab.json": (
        None,
        {"config.json": GPT2, "tokenizer_config.json": {"add_bos_token": True, "add_eos_token": True, "bos_token": "<s>"}},
    ),
    "add_prefix_space, vocab.json": (None, {"config.json": GPT2, "tokenizer_config.json": {"add_prefix_space": True}}),
    "template": ({"added_tokens": [EOT, added("<s>", 1200, True)], "post_processor": template([("<s>", 1200)], [(END, 1199)])}, {}),
    "empty template": ({"post_processor": template([], [])}, {"config.json": GPT2}),
    "RobertaProcessing": (
        {
            "added_tokens": [EOT, added("<s>", 1200, True), added("</s>", 1201, True)],
            "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 1201], "cls": ["<s>", 1200], "trim_offsets": True, "add_prefix_space": False},
        },
        {"config.json": GPT2},
    ),
    "sequence of processors": (
        {"post_processor": {"type": "Sequence", "processors": [BASE["pre_tokenizer"], template([(END, 1199)], [])]}},
        {"config.json": GPT2, "tokenizer_config.json": ANY_CLASS},
    ),
    "pad_token": ({}, {"config.json": GPT2, "tokenizer_config.json": {"pad_token": "[PAD]", "mask_token": {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "rstrip": False, "normalized": True, "single_word": False}}}),
    "additional_special_tokens": ({}, {"config.json": GPT2, "tokenizer_config.json": {"additional_special_tokens": ["foobar", "Mole"]}}),
    "special_tokens_map.json": (
        {},
        {"config.json": GPT2, "special_tokens_map.json": {"pad_token": "[PAD]", "unk_token": {"content": "<unk>", "lstrip": False, "rstrip": True, "normalized": True, "single_word": False}}},
    ),
    "an added word that is named special": (
        {"added_tokens": [EOT, added("foobar", 1200)]},
        {"config.json": GPT2, "tokenizer_config.json": {"pad_token": "foobar"}},
    ),
    "added_tokens_decoder": ({}, {"config.json": GPT2, "tokenizer_config.json": decoder(EOT, added("foobar", 1200), added("[PAD]", 1201, True))}),
    "added_tokens_decoder, another class": (
        {"added_tokens": [EOT, added("foobar", 1200)]},
        {"config.json": GPT2, "tokenizer_config.json": {**ANY_CLASS, **decoder(EOT, added("foobar", 1200, single_word=True), added("bar", 1201))}},
    ),
    "added_tokens.json": (None, {"config.json": GPT2, "added_tokens.json": {"foobar": 1200, "[PAD]": 1201}, "tokenizer_config.json": {"pad_token": "[PAD]"}}),
    "</s> as the end": (
        {"added_tokens": [added("<s>", 1199, True), added("</s>", 1200, True)]},
        {"config.json": GPT2, "tokenizer_config.json": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "</s>"}},
    ),
    "bytes without a token": ({**model(**vocab_without("e", "Ã", "Ċ")), "added_tokens": [added("<unk>", 0, True)]}, {}),
    "bytes without a token, GPT2Tokenizer": (
        {**model(**vocab_without("e", "Ã", "Ċ"), unk_token="<unk>"), "added_tokens": [added("<unk>", 0, True)]},
        {"config.json": GPT2, "tokenizer_config.json": {"bos_token": "<unk>", "eos_token": "<unk>", "unk_token": "<unk>"}},
    ),
    "unk_token": ({**model(**vocab_without("e", "Ã", "Ċ"), unk_token="<unk>"), "added_tokens": [added("<unk>", 0, True)]}, {}),
    "unk_token, fused": ({**model(**vocab_without("e", "Ã", "Ċ", "â", "Ģ"), unk_token="<unk>", fuse_unk=True), "added_tokens": [added("<unk>", 0, True)]}, {}),
    "settings that change nothing": (
        {"truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}, "padding": {"strategy": {"Fixed": 9}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 1, "pad_type_id": 0, "pad_token": "!"}},
        {"config.json": GPT2, "tokenizer_config.json": {"model_max_length": 3, "clean_up_tokenization_spaces": True, "errors": "replace", "padding_side": "left"}},
    ),
}  # fmt: skip


def changed(changes: dict | None) -> dict[str, str]:
    if changes is not None:
        return {"tokenizer.json": json.dumps({**BASE, **changes})}
    vocab = {**BASE["model"]["vocab"], END: 1199}
    merges = "".join(f"{a} {b}\n" for a, b in BASE["model"]["merges"])
    return {"vocab.json": json.dumps(vocab), "merges.txt": f"#version: 0.2\n{merges}"}


def encode(files: dict[str, str], samples: list[str]) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        plain = AutoTokenizer.from_pretrained(folder, split_special_tokens=True)
        return {
            "size": len(tokenizer),
            "ends": [tokenizer.bos_token_id, tokenizer.eos_token_id],
            "special": [tokenizer(text)["input_ids"] for text in samples],
            "plain": [plain(text, add_special_tokens=False)["input_ids"] for text in samples],
        }


def main() -> None:
    transformers.logging.set_verbosity_error()
    samples = texts()
    variants = []
    for name, (changes, others) in VARIANTS.items():
        files = {file: json.dumps(content) for file, content in others.items()}
        variants.append({"name": name, "changes": changes, "files": files, **encode({**changed(changes), **files}, samples)})
        print(name, variants[-1]["size"])
    made_by = f"make_tokenizer_variants_fixture.py, transformers {transformers.__version__}, tokenizers {tokenizers.__version__}"
    fixture = json.dumps({"madeBy": made_by, "texts": samples, "variants": variants}, separators=(",", ":"))
    (FOLDER / "variants.json.gz").write_bytes(gzip.compress(fixture.encode(), mtime=0))


main()
