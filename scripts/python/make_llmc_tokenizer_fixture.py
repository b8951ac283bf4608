"""llm.c tokenizer files made with tiktoken, the library that llm.c's own train_gpt2.py uses.

Two vocabularies: a small one, trained by Hugging Face tokenizers (test/fixtures/tokenizer/hf-trained.json), as a
whole file; and GPT-2's own, as a SHA-256 only. Run from the repository's root, with vocab.json and merges.txt of
GPT-2 in the folder given (gpt2 tokenizer files as this package writes them, or OpenAI's):

    python scripts/python/make_llmc_tokenizer_fixture.py FOLDER
"""

import hashlib
import json
import struct
import sys
from pathlib import Path

import tiktoken

FIXTURES = Path("test/fixtures/tokenizer")
PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""


def byte_alphabet():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    chars = {chr(b): b for b in printable}
    others = (b for b in range(256) if b not in printable)
    return chars | {chr(0x100 + i): b for i, b in enumerate(others)}


ALPHABET = byte_alphabet()


def encoding(name, vocab):
    end_of_text = vocab["<|endoftext|>"]
    ranks = {bytes(ALPHABET[c] for c in token): i for token, i in vocab.items() if i != end_of_text}
    return tiktoken.Encoding(
        name, pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": end_of_text}
    )


def tokenizer_file(enc):
    """The format's definition: 256 int32 of header, then length and bytes of each token."""
    n = enc.max_token_value + 1
    header = struct.pack("<256i", 20240328, 2, n, enc.eot_token, *[0] * 252)
    tokens = [enc.decode_bytes([i]) for i in range(n)]
    return header + b"".join(struct.pack("<B", len(token)) + token for token in tokens)


def main():
    trained = json.loads((FIXTURES / "hf-trained.json").read_text())["tokenizer"]
    added = {token["content"]: token["id"] for token in trained["added_tokens"]}
    (FIXTURES / "llmc-small.bin").write_bytes(tokenizer_file(encoding("small", trained["model"]["vocab"] | added)))
    vocab = json.loads((Path(sys.argv[1]) / "vocab.json").read_text())
    data = tokenizer_file(encoding("gpt2", vocab))
    print(f"GPT-2's own: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
