"""Writes test/fixtures/tensorflow: a small seeded GPT-2 in the form of OpenAI's release, saved by TensorFlow itself.

    pip install tensorflow-cpu cramjam && python3 scripts/python/make_tensorflow_fixture.py

The weights are those of seeded_weights.py (and its twin, test/helpers/seeded-weights.ts), so no values are stored
beside the model. `openai` is a release: checkpoint, hparams.json, encoder.json, vocab.bpe,
model.ckpt.{data,index,meta}. `trained` is the output of a program that fine-tunes it: two checkpoints, a global step
and an optimizer's moments among the variables, and an index compressed with Snappy (cramjam's), as old versions of
TensorFlow wrote it.
"""

import json
import os
import shutil
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import cramjam
import numpy as np
import tensorflow as tf
from seeded_weights import Config, is_conv1d, seeded_weights

SEED = 1202
CONFIG = Config(vocabSize=258, nCtx=7, nEmbd=6, nLayer=2, nHead=2, nInner=24)
FOLDER = Path(__file__).parents[2] / "test" / "fixtures" / "tensorflow"
HPARAMS = {"n_vocab": 258, "n_ctx": 7, "n_embd": 6, "n_head": 2, "n_layer": 2}
FOOTER, TRAILER = 48, 5


def variable_name(name: str) -> str:
    *scope, kind = name.replace("h.", "h", 1).split(".")
    if scope[0] in ("wte", "wpe"):
        return f"model/{scope[0]}"
    part = "b" if kind == "bias" else "g" if scope[-1].startswith("ln_") else "w"
    return "/".join(["model", *scope, part])


def variables(seed: int) -> dict[str, np.ndarray]:
    """Matrices are convolutions of width 1: [1, in, out]."""
    weights = seeded_weights(CONFIG, seed)
    return {variable_name(n): w.T[None] if is_conv1d(n) else w for n, w in weights.items()}


def save(folder: Path, prefix: str, values: dict[str, np.ndarray]) -> None:
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        for name, value in values.items():
            v1.get_variable(name, initializer=value)
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(folder / prefix), write_meta_graph=prefix == "model.ckpt")


def write_tokenizer(folder: Path) -> None:
    """GPT-2's 256 bytes, one merge and the end of text."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in visible]
    letters = [chr(b) for b in visible] + [chr(256 + i) for i in range(len(hidden))]
    tokens = [*letters, "he", "<|endoftext|>"]
    (folder / "encoder.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "vocab.bpe").write_text("#version: 0.2\nh e\n")


def masked_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(n: int) -> bytes:
    return bytes([n]) if n < 128 else bytes([n % 128 + 128]) + varint(n // 128)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def compress_index(path: Path) -> None:
    """Rewrites a table of one data block with the block compressed."""
    data = path.read_bytes()
    footer = data[-FOOTER:]
    at = 0
    handles = []
    for _ in range(4):
        value, at = read_varint(footer, at)
        handles.append(value)
    index = data[handles[2] : handles[2] + handles[3]]
    # One entry: the length of the key's shared prefix (0), the lengths of key and value, the key, and as the value a
    # handle.
    _, at = read_varint(index, 0)
    key_length, at = read_varint(index, at)
    _, at = read_varint(index, at)
    key, at = index[at : at + key_length], at + key_length
    offset, at = read_varint(index, at)
    size, _ = read_varint(index, at)
    if offset != 0 or handles[0] != size + TRAILER:
        raise SystemExit("the table has more than one data block")

    def block(raw: bytes, kind: int) -> bytes:
        return raw + bytes([kind]) + masked_crc(raw + bytes([kind])).to_bytes(4, "little")

    one_restart = (0).to_bytes(4, "little") + (1).to_bytes(4, "little")
    packed = bytes(cramjam.snappy.compress_raw(data[:size]))
    first = block(packed, 1)
    empty = block(one_restart, 0)
    handle = varint(0) + varint(len(packed))
    entry = varint(0) + varint(len(key)) + varint(len(handle)) + key + handle
    last = block(entry + one_restart, 0)
    ends = varint(len(first)) + varint(8) + varint(len(first) + len(empty)) + varint(len(entry) + 8)
    path.write_bytes(first + empty + last + ends.ljust(FOOTER - 8, b"\0") + footer[-8:])


def main() -> None:
    for name in ["openai", "trained"]:
        folder = FOLDER / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "hparams.json").write_text(json.dumps(HPARAMS, indent=2))
        write_tokenizer(folder)
    save(FOLDER / "openai", "model.ckpt", variables(SEED))
    # The graph is not read, and names the folder in which it was made.
    (FOLDER / "openai" / "model.ckpt.meta").write_bytes(b"")
    trained = variables(SEED + 1)
    slots = [(name, slot) for name in ["model/wte", "model/h0/attn/c_attn/w"] for slot in ["Adam", "Adam_1"]]
    moments = {f"{name}/{slot}": np.full_like(trained[name], 1e-3) for name, slot in slots}
    more = {"beta1_power": np.float32(0.9), "global_step": np.int64(20), **moments}
    save(FOLDER / "trained", "model-10", {**variables(SEED), **more})
    save(FOLDER / "trained", "model-20", {**trained, **more})
    compress_index(FOLDER / "trained" / "model-20.index")
    for name, latest in [("openai", "model.ckpt"), ("trained", "/data/run1/model-20")]:
        state = f'model_checkpoint_path: "{latest}"\nall_model_checkpoint_paths: "{latest}"\n'
        (FOLDER / name / "checkpoint").write_text(state)
    for path in sorted(FOLDER.glob("*/*")):
        print(path.relative_to(FOLDER), path.stat().st_size)


if __name__ == "__main__":
    main()
