"""Writes a GPT-2 (by default of 124M shape) with seeded weights as an ONNX graph with key/value caches, for onnxruntime.

    python3 bench/peers/python/make_onnx.py CACHE/gpt2-124m-seeded.onnx [--type f32|q8_0|q4_0] [--growing]

The graph consists of the fused operators of onnxruntime's own generative models (GroupQueryAttention,
SkipLayerNormalization, FastGelu), its fastest on a CPU. Keys and values live in buffers of the whole context that the
caller gives both as past and as present, so that a step copies nothing.

q8_0 stands for onnxruntime's 8-bit quantization (quantize_dynamic): int8 weights with a scale for each output,
activations quantized on the fly. q4_0 stands for its 4-bit quantization (MatMulNBits): blocks of 32 with a scale
each, activations quantized to 8 bits.

--growing writes what transformers.js expects instead: a folder with the model's configuration and a graph with its names
of inputs, whose keys and values grow with every step.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from seeded import SEED, Config, seeded_weights

FUSED = "com.microsoft"


class Graph:
    """Collects nodes and weights; every tensor has a name."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.nodes, self.initializers = [], []
        self.weights = weights

    def weight(self, name: str, values: np.ndarray | None = None) -> str:
        if all(i.name != name for i in self.initializers):
            values = self.weights[name] if values is None else values
            self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def op(self, kind: str, inputs: list[str], outputs: str | list[str], domain: str = "", **attributes) -> str:
        outputs = [outputs] if isinstance(outputs, str) else outputs
        node = helper.make_node(kind, inputs, outputs, name=f"{kind}/{outputs[0]}", domain=domain, **attributes)
        self.nodes.append(node)
        return outputs[0]

    def product(self, x: str, name: str, out: str) -> str:
        """x · weightᵀ, the weight stored [in, out] as onnxruntime wants it for packing."""
        return self.op("MatMul", [x, self.weight(f"{name}.transposed", self.weights[name].T)], out)


def lengths_of_mask(g: Graph) -> None:
    """GroupQueryAttention's lengths, from a mask [1, past + N]."""
    axis = g.weight("axis", np.array([1], dtype=np.int64))
    one = g.weight("one", np.array([1], dtype=np.int64))
    g.op("ReduceSum", ["attention_mask", axis], "seen", keepdims=0)
    g.op("Cast", [g.op("Sub", ["seen", one], "seen.before")], "seqlens_k", to=TensorProto.INT32)
    total = g.op("Gather", [g.op("Shape", ["attention_mask"], "mask.shape"), one], "mask.length", axis=0)
    g.op("Cast", [total], "total_sequence_length", to=TensorProto.INT32)


def build(config: Config, weights: dict[str, np.ndarray], growing: bool) -> onnx.ModelProto:
    g = Graph(weights)
    past = "past_key_values" if growing else "past"
    if growing:
        lengths_of_mask(g)
    heads, size = config.nHead, config.nEmbd // config.nHead
    norm = {"domain": FUSED, "epsilon": config.layerNormEpsilon}
    g.op("Gather", [g.weight("wte.weight"), "input_ids"], "token")
    g.op("Gather", [g.weight("wpe.weight"), "position_ids"], "position")
    x = g.op("Add", ["token", "position"], "embedding")
    first = [g.weight("h.0.ln_1.weight"), g.weight("h.0.ln_1.bias")]
    normed = g.op("LayerNormalization", [x, *first], "h.0.ln_1", epsilon=config.layerNormEpsilon)
    for i in range(config.nLayer):
        h = f"h.{i}"

        def add_and_norm(part: str, bias: str, name: str) -> tuple[str, str]:
            """(x + part + bias, its layer norm)"""
            inputs = [part, x, g.weight(f"{name}.weight"), g.weight(f"{name}.bias"), g.weight(bias)]
            g.op("SkipLayerNormalization", inputs, [name, "", "", f"{name}.sum"], **norm)  # noqa: B023
            return f"{name}.sum", name

        qkv = g.product(normed, f"{h}.attn.c_attn.weight", f"{h}.attn.product")
        qkv = g.op("Add", [qkv, g.weight(f"{h}.attn.c_attn.bias")], f"{h}.attn.qkv")
        caches = [f"{past}.{i}.key", f"{past}.{i}.value"]
        attended = g.op(
            "GroupQueryAttention",
            [qkv, "", "", *caches, "seqlens_k", "total_sequence_length"],
            [f"{h}.attn", f"present.{i}.key", f"present.{i}.value"],
            domain=FUSED,
            num_heads=heads,
            kv_num_heads=heads,
            scale=1 / size**0.5,
        )
        projected = g.product(attended, f"{h}.attn.c_proj.weight", f"{h}.attn.projected")
        x, normed = add_and_norm(projected, f"{h}.attn.c_proj.bias", f"{h}.ln_2")
        fc = g.product(normed, f"{h}.mlp.c_fc.weight", f"{h}.mlp.fc")
        gelu = g.op("FastGelu", [fc, g.weight(f"{h}.mlp.c_fc.bias")], f"{h}.mlp.gelu", domain=FUSED)
        down = g.product(gelu, f"{h}.mlp.c_proj.weight", f"{h}.mlp.projected")
        following = f"h.{i + 1}.ln_1" if i + 1 < config.nLayer else "ln_f"
        x, normed = add_and_norm(down, f"{h}.mlp.c_proj.bias", following)
    last = g.op("Gather", [normed, g.weight("last", np.array([-1], dtype=np.int64))], "hidden", axis=1)
    g.product(last, "wte.weight", "logits")

    rows = ["past", "past + N"] if growing else [config.nCtx] * 2
    kv = [(i, kind) for i in range(config.nLayer) for kind in ("key", "value")]
    info = helper.make_tensor_value_info
    lengths = [info("seqlens_k", TensorProto.INT32, [1]), info("total_sequence_length", TensorProto.INT32, [1])]
    inputs = [
        info("input_ids", TensorProto.INT64, [1, "N"]),
        info("position_ids", TensorProto.INT64, [1, "N"]),
        *([info("attention_mask", TensorProto.INT64, [1, "past + N"])] if growing else lengths),
        *(info(f"{past}.{i}.{kind}", TensorProto.FLOAT, [1, heads, rows[0], size]) for i, kind in kv),
    ]
    outputs = [
        info("logits", TensorProto.FLOAT, [1, 1, config.vocabSize]),
        *(info(f"present.{i}.{kind}", TensorProto.FLOAT, [1, heads, rows[1], size]) for i, kind in kv),
    ]
    graph = helper.make_graph(g.nodes, "gpt2", inputs, outputs, g.initializers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def quantized_to_8_bits(model: onnx.ModelProto, path: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        source = Path(folder) / "f32.onnx"
        onnx.save(model, source)
        quantize_dynamic(
            source,
            path,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul"],
            extra_options={"DefaultTensorType": TensorProto.FLOAT},  # outputs of fused operators
        )


def quantized_to_4_bits(model: onnx.ModelProto, path: Path) -> None:
    from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

    how = DefaultWeightOnlyQuantConfig(block_size=32, is_symmetric=True, accuracy_level=4)
    quantizer = MatMulNBitsQuantizer(model, algo_config=how)
    quantizer.process()
    quantizer.model.save_model_to_file(str(path))


WRITERS = {"f32": onnx.save, "q8_0": quantized_to_8_bits, "q4_0": quantized_to_4_bits}

GROWING_NAMES = {"f32": "model.onnx", "q8_0": "model_quantized.onnx", "q4_0": "model_q4.onnx"}


def write_configuration(folder: Path, config: Config) -> None:
    fields = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.vocabSize,
        "n_positions": config.nCtx,
        "n_embd": config.nEmbd,
        "n_layer": config.nLayer,
        "n_head": config.nHead,
        "n_inner": config.nInner,
        "layer_norm_epsilon": config.layerNormEpsilon,
    }
    (folder / "config.json").write_text(json.dumps(fields), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--config", type=json.loads, default={}, help="fields of seeded.Config, as JSON")
    parser.add_argument("--type", choices=sorted(WRITERS), default="f32")
    parser.add_argument("--growing", action="store_true")
    args = parser.parse_args()
    config = Config(**args.config)
    partial = args.out.with_name(args.out.name + ".partial")
    file = partial / "onnx" / GROWING_NAMES[args.type] if args.growing else partial
    file.parent.mkdir(parents=True, exist_ok=True)
    model = build(config, seeded_weights(config, args.seed), args.growing)
    WRITERS[args.type](model, file)
    if args.growing:
        write_configuration(partial, config)
    partial.rename(args.out)
    print(args.out, file.name)


if __name__ == "__main__":
    main()
