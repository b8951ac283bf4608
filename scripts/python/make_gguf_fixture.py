"""Writes test/fixtures/gguf: files and values by the gguf package and by llama.cpp's own converter.

    pip install gguf safetensors tokenizers transformers torch
    git clone node_modules/node-llama-cpp/llama/gitRelease.bundle LLAMA_CPP   (or llama.cpp from anywhere)
    python3 scripts/python/make_gguf_fixture.py LLAMA_CPP

blocks.safetensors    values, and the gguf package's encoding and decoding of them, for every type that is read
converted-TYPE.gguf   a GPT-2 with seeded weights and a tokenizer, by convert_hf_to_gguf.py
tokens.json           ids by Hugging Face's tokenizers of some texts with that tokenizer
unusual.gguf          by the gguf package: another alignment, a head of its own, types of tensors and metadata that the
                      converter does not write, tokens that are unused, special and added; unusual.json has the metadata
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from safetensors.numpy import save_file
from seeded_weights import Config, hugging_face_model, seeded_weights
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

ROOT = Path(__file__).parents[2]
OUT = ROOT / "test" / "fixtures" / "gguf"
TEXT = ROOT / "test" / "fixtures" / "text" / "looking-glass.txt"
END = "<|endoftext|>"
SEED = 71
CONFIG = Config(vocabSize=320, nCtx=48, nEmbd=32, nLayer=2, nHead=4, nInner=128)
TEXTS = [
    "Once upon a time",
    "It's, we'll; I'VE  three   spaces \n\n two lines\t tab",
    "1234567890 3.14 x² ½ ٣",
    "naïve café – „Straße“ Ελλάδα Привет 你好 🙂👩‍👩‍👧",
    "a<|endoftext|>b",
    "\u00a0nbsp\u3000ideographic\u0085next\ufeffbom \u200bzero",
    " leading and trailing ",
    "",
]


# ---------------------------------------------------------------- blocks


def awkward_values(rng: np.random.Generator) -> np.ndarray:
    """Rows of 32: values that are difficult for rounding and scaling, then random numbers of many magnitudes."""
    ramp = np.arange(32, dtype=np.float32)
    rows = [
        np.zeros(32),
        np.where(ramp == 31, 0.25, -0.0),
        np.full(32, 3.5),
        np.where(ramp == 7, -2.0, 0.0),
        np.where(ramp % 2 == 0, 1.5, -1.5),  # the first of two equal magnitudes decides the sign of q4_0's scale
        np.where(ramp % 2 == 0, -1.5, 1.5),
        np.append(ramp[:31] - 15.5, 127.0),  # halves, at a scale of 1
        np.append(15.5 - ramp[:31], -127.0),
        np.append(ramp[:31] * 0.5 - 7.5, -8.0),  # halves for q4_0, at a scale of 1
        np.append(ramp[:31] * 0.5 - 7.5, 8.0),
        ramp * 1e-6,  # scales that are subnormal in f16, or vanish
        ramp * 1e-8,
        (ramp - 16) * 1e-4 / 3,
        (ramp - 16) * 60000.0,  # scales near the largest of f16
        (ramp - 16) / 7,
        np.full(32, 1e-30),
    ]
    sizes = np.exp(rng.uniform(-12, 8, (48, 1)))
    return np.concatenate([np.stack(rows), rng.standard_normal((48, 32)) * sizes]).astype(np.float32)


def random_blocks(rng: np.random.Generator, dtype: T, count: int) -> np.ndarray:
    """Any bytes are a block, but the f16 numbers in it must be finite: their exponent's upper bit is cleared."""
    size = gguf.GGML_QUANT_SIZES[dtype][1]
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    halves = {T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}[dtype]
    for at in halves:
        blocks[:, at + 1] &= 0xBF
    return blocks


def make_blocks() -> None:
    rng = np.random.default_rng(SEED)
    values = awkward_values(rng)
    tensors = {"values": values}
    for dtype in [T.F16, T.BF16, T.Q8_0, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1]:
        # f16 and bf16 hold values in range; the last rows of the difficult ones are beyond f16.
        source = np.clip(values, -65504, 65504) if dtype == T.F16 else values
        with np.errstate(over="ignore"):
            encoded = gguf.quants.quantize(source, dtype)
        tensors[dtype.name.lower()] = encoded.reshape(64, -1).view(np.uint8)
    for dtype in [T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K]:
        tensors[dtype.name.lower().replace("_k", "_K")] = random_blocks(rng, dtype, 6)
    for name in list(tensors)[1:]:
        tensors[f"{name}.decoded"] = gguf.quants.dequantize(tensors[name], T[name.upper()]).astype(np.float32)
    # Rows that are all -0 are left out: gguf gives them a scale of 0, ggml's C code one of -0.
    save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, OUT / "blocks.safetensors")


# ---------------------------------------------------------------- a model by llama.cpp's converter


def make_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=CONFIG.vocabSize - 1, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train([str(TEXT)], trainer)
    tokenizer.add_special_tokens([END])
    assert tokenizer.token_to_id(END) == CONFIG.vocabSize - 1
    return tokenizer


# The converter recognizes a pre-tokenizer by a hash of the ids of one text in one vocabulary; GPT-2's hash is given
# here.
CONVERT = """
import sys
sys.path.insert(0, sys.argv[1])
import convert_hf_to_gguf
from conversion.base import TextModel
TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
sys.argv[:2] = ["convert_hf_to_gguf.py"]
convert_hf_to_gguf.main()
"""


def make_converted(llama_cpp: Path) -> None:
    tokenizer = make_tokenizer()
    # Like llama.cpp, which recognizes special tokens only on request.
    tokenizer.encode_special_tokens = True
    ids = [tokenizer.encode(text).ids for text in TEXTS]
    tokenizer.encode_special_tokens = False
    cases = [{"text": text, "ids": i} for text, i in zip(TEXTS, ids)]
    (OUT / "tokens.json").write_text(json.dumps(cases, indent=1) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        hugging_face_model(CONFIG, seeded_weights(CONFIG, SEED)).save_pretrained(folder)
        config = json.loads((Path(folder) / "config.json").read_text())
        config |= {"n_ctx": CONFIG.nCtx, "bos_token_id": CONFIG.vocabSize - 1, "eos_token_id": CONFIG.vocabSize - 1}
        (Path(folder) / "config.json").write_text(json.dumps(config))
        tokenizer.save(f"{folder}/tokenizer.json")
        special = {"bos_token": END, "eos_token": END, "unk_token": END}
        (Path(folder) / "tokenizer_config.json").write_text(
            json.dumps({"tokenizer_class": "GPT2Tokenizer", "model_max_length": CONFIG.nCtx} | special)
        )
        for dtype in ["f32", "f16", "bf16", "q8_0"]:
            out = OUT / f"converted-{dtype}.gguf"
            command = [sys.executable, "-c", CONVERT, llama_cpp, folder, "--outtype", dtype, "--outfile", out]
            command += ["--model-name", "seeded"]
            subprocess.run(command, check=True)


# ---------------------------------------------------------------- an unusual file


def make_unusual() -> None:
    config = Config(vocabSize=262, nCtx=8, nEmbd=32, nLayer=1, nHead=2, nInner=64, tieWordEmbeddings=False)
    writer = gguf.GGUFWriter(OUT / "unusual.gguf", "gpt2")
    writer.add_custom_alignment(256)
    writer.add_block_count(config.nLayer)
    writer.add_context_length(config.nCtx)
    writer.add_embedding_length(config.nEmbd)
    writer.add_feed_forward_length(config.nInner)
    writer.add_head_count(config.nHead)
    writer.add_head_count_kv(config.nHead)
    writer.add_layer_norm_eps(config.layerNormEpsilon)
    values = {
        "u8": (gguf.GGUFValueType.UINT8, 200),
        "i8": (gguf.GGUFValueType.INT8, -100),
        "u16": (gguf.GGUFValueType.UINT16, 60000),
        "i16": (gguf.GGUFValueType.INT16, -30000),
        "u32": (gguf.GGUFValueType.UINT32, 4000000000),
        "i32": (gguf.GGUFValueType.INT32, -2000000000),
        "f32": (gguf.GGUFValueType.FLOAT32, 0.1),
        "f64": (gguf.GGUFValueType.FLOAT64, 0.1),
        "u64": (gguf.GGUFValueType.UINT64, 2**63 + 1),
        "i64": (gguf.GGUFValueType.INT64, -(2**40)),
        "yes": (gguf.GGUFValueType.BOOL, True),
        "no": (gguf.GGUFValueType.BOOL, False),
        "text": (gguf.GGUFValueType.STRING, "größer als 🙂"),
    }
    expected = {}
    for name, (kind, value) in values.items():
        writer.add_key_value(f"test.{name}", value, kind)
        expected[f"test.{name}"] = str(value) if name == "u64" else value
    expected["test.f32"] = float(np.float32(0.1))
    arrays = {"integers": [1, -2, 3], "floats": [0.5, -0.25], "texts": ["a", "", "ü"], "flags": [True, False]}
    for name, array in arrays.items():
        writer.add_array(f"test.{name}", array)
        expected[f"test.{name}"] = array
    (OUT / "unusual.json").write_text(json.dumps(expected, indent=1) + "\n")
    add_unusual_tokenizer(writer, config)
    names = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm", "lm_head": "output"} | {
        f"h.0.{ours}": f"blk.0.{theirs}"
        for ours, theirs in {
            "ln_1": "attn_norm",
            "attn.c_attn": "attn_qkv",
            "attn.c_proj": "attn_output",
            "ln_2": "ffn_norm",
            "mlp.c_fc": "ffn_up",
            "mlp.c_proj": "ffn_down",
        }.items()
    }
    types = {"wte": T.Q5_1, "lm_head": T.Q8_0, "wpe": T.F16, "h.0.attn.c_attn": T.Q4_0, "h.0.attn.c_proj": T.Q4_1}
    types |= {"h.0.mlp.c_fc": T.Q5_0, "h.0.mlp.c_proj": T.BF16}
    # In a different order from the model's.
    for name, values in reversed(seeded_weights(config, SEED).items()):
        stem, kind = name.rsplit(".", 1)
        dtype = T.F32 if values.ndim == 1 else types[stem]
        writer.add_tensor(f"{names[stem]}.{kind}", gguf.quants.quantize(values, dtype), raw_dtype=dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_unusual_tokenizer(writer: gguf.GGUFWriter, config: Config) -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*alphabet, "th", "[PAD257]", "the", END, "<|user|>", "[PAD261]"]
    assert len(tokens) == config.vocabSize
    kinds = [gguf.TokenType.NORMAL] * 257
    kinds += [gguf.TokenType.UNUSED, gguf.TokenType.NORMAL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.USER_DEFINED, gguf.TokenType.UNUSED]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["t h", "th e"])
    writer.add_eos_token_id(259)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("llama_cpp", type=Path, help="llama.cpp's sources")
    args = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    make_blocks()
    make_converted(args.llama_cpp.resolve())
    make_unusual()


if __name__ == "__main__":
    main()
