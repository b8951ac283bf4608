"""Compares the GGUF of a BERT that `gpt2 convert` writes with that of llama.cpp's own converter, as gguf-py reads both.

    pip install gguf && git clone --branch … https://github.com/ggml-org/llama.cpp
    python3 llama.cpp/convert_hf_to_gguf.py FOLDER --outtype f32 --outfile theirs.gguf
    gpt2 convert FOLDER ours.gguf
    python3 scripts/python/check_bert_gguf.py ours.gguf theirs.gguf

Prints the differences: names, shapes, types and values of tensors, keys and values of the metadata. Fails on tensors
that differ.
"""

import sys

import numpy as np
from gguf import GGUFReader


def metadata(reader: GGUFReader) -> dict:
    return {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}


def short(value) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(value)} of them)"


def main() -> None:
    ours, theirs = [GGUFReader(path) for path in sys.argv[1:3]]
    tensors = [{tensor.name: tensor for tensor in reader.tensors} for reader in (ours, theirs)]
    wrong = sorted(set(tensors[0]) ^ set(tensors[1]))
    for name in set(tensors[0]) & set(tensors[1]):
        a, b = [side[name] for side in tensors]
        if list(a.shape) != list(b.shape) or a.tensor_type != b.tensor_type or not np.array_equal(a.data, b.data):
            wrong.append(name)
    print(f"{len(tensors[0])} tensors, {len(tensors[1])} of llama.cpp's; different: {wrong or 'none'}")
    keys = [metadata(reader) for reader in (ours, theirs)]
    for name in sorted(set(keys[0]) | set(keys[1])):
        a, b = [side.get(name, "absent") for side in keys]
        if a != b:
            print(f"{name}: {short(a)}; llama.cpp {short(b)}")
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
