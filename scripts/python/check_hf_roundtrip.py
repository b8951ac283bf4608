"""Checks, against transformers, numpy and the safetensors library, every model file this project reads and writes.

    npm run build && python3 scripts/python/check_hf_roundtrip.py [--dist dist]

A seeded GPT-2 goes transformers -> save_pretrained (one file, and shards) or torch.save -> this project -> every format
and type -> back: folders are loaded by transformers (no missing or unexpected tensors; equal parameters, and so equal
logits), llm.c files are read with numpy by their definition. Not part of `npm test`: it needs Python.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from seeded_weights import Config, hugging_face_model, is_conv1d, seeded_tokens, seeded_weights
from transformers import AutoModelForCausalLM, GPT2LMHeadModel

ROOT = Path(__file__).parents[2]
SEED = 5
CONFIGS = {
    "gpt2-like": Config(vocabSize=300, nCtx=32, nEmbd=48, nLayer=3, nHead=4, nInner=192),
    "odd": Config(vocabSize=131, nCtx=9, nEmbd=15, nLayer=2, nHead=5, nInner=37),
    "variant": Config(vocabSize=131, nCtx=9, nEmbd=16, nLayer=3, nHead=4, nInner=64, tieWordEmbeddings=False),
}
OPTIONS = {
    "variant": {"activation_function": "relu", "scale_attn_weights": False, "scale_attn_by_inverse_layer_idx": True}
}
TORCH = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
CONVERT = """
const { openCheckpoint, saveCheckpoint } = await import(process.argv[1]);
const [from, to, options] = process.argv.slice(2);
const checkpoint = await openCheckpoint(from);
function* tensors() {
  for (const tensor of checkpoint.tensors.values()) {
    const data = new Float32Array(tensor.shape.reduce((n, d) => n * d, 1));
    tensor.readInto(data);
    yield { name: tensor.name, shape: tensor.shape, data };
  }
}
await saveCheckpoint(to, { config: checkpoint.config, tensors: tensors() }, JSON.parse(options));
checkpoint.close();
"""


def convert(dist: Path, source: Path, target: Path, **options) -> None:
    module = (dist / "src/pretrained/node.js").resolve().as_uri()
    command = ["node", "--input-type=module", "-e", CONVERT, module, source, target, json.dumps(options)]
    subprocess.run(command, check=True)


def check_folder(folder: Path, original: GPT2LMHeadModel, ids: torch.Tensor, dtype: str) -> None:
    # Loads it as a user would, with the dtype in config.json, and checks that no tensor is missing, left over or of
    # another shape.
    loaded, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    problems = {k: v for k, v in info.items() if v}
    assert not problems, f"{folder}: {problems}"
    assert isinstance(loaded, GPT2LMHeadModel) and loaded.dtype == TORCH[dtype], (folder, loaded.dtype)
    rounded = {name: p.to(TORCH[dtype]) for name, p in original.state_dict().items()}
    for name, parameter in loaded.state_dict().items():
        assert torch.equal(parameter, rounded[name]), f"{folder}: {name}"
    wanted = GPT2LMHeadModel(original.config).to(TORCH[dtype]).eval()
    wanted.load_state_dict(rounded)
    with torch.no_grad():
        assert torch.equal(loaded.eval()(ids).logits, wanted(ids).logits), f"{folder}: logits"


def check_llmc(file: Path, c: Config, weights: dict[str, np.ndarray], dtype: str) -> None:
    header = np.fromfile(file, dtype="<i4", count=256)
    padded = -(-c.vocabSize // 128) * 128
    wanted = [20240326, {"f32": 3, "bf16": 5}[dtype], c.nCtx, c.vocabSize, c.nLayer, c.nHead, c.nEmbd, padded]
    assert header[:8].tolist() == wanted and not header[8:].any(), header[:10]
    layer_names = [n.removeprefix("h.0.") for n in weights if n.startswith("h.0.")]
    wte = np.zeros((padded, c.nEmbd), dtype="f4")
    wte[: c.vocabSize] = weights["wte.weight"]
    parts = [wte, weights["wpe.weight"]]
    parts += [weights[f"h.{i}.{n}"] for n in layer_names for i in range(c.nLayer)]
    parts += [weights["ln_f.weight"], weights["ln_f.bias"]]
    flat = torch.from_numpy(np.concatenate([p.ravel() for p in parts])).to(TORCH[dtype])
    values = np.fromfile(file, dtype="u1", offset=1024)
    assert np.array_equal(values, flat.view(torch.uint8).numpy()), file


def check_header(file: Path) -> None:
    with safe_open(file, "np") as f:
        assert f.metadata()["format"] == "pt"
        assert all(name.startswith("transformer.") or name == "lm_head.weight" for name in f.keys())


def check_model(dist: Path, name: str, c: Config, folder: Path) -> None:
    weights = seeded_weights(c, SEED)
    model = hugging_face_model(c, weights, **OPTIONS.get(name, {}))
    ids = torch.tensor([seeded_tokens(c, SEED, 1, c.nCtx)])
    sources = {"one file": folder / "one", "shards": folder / "shards", "torch.save": folder / "pickled"}
    model.save_pretrained(sources["one file"])
    model.save_pretrained(sources["shards"], max_shard_size="20KB")
    assert len(list(sources["shards"].glob("model-*.safetensors"))) > 1
    model.config.save_pretrained(sources["torch.save"])
    torch.save(model.state_dict(), sources["torch.save"] / "pytorch_model.bin")
    for how, source in sources.items():
        for dtype in ("f32", "f16", "bf16"):
            for shard_bytes in (None, 30_000):
                target = folder / f"{how}-{dtype}-{shard_bytes}".replace(" ", "-")
                convert(dist, source, target, dtype=dtype, **({"maxShardBytes": shard_bytes} if shard_bytes else {}))
                check_folder(target, model, ids, dtype)
                for file in target.glob("*.safetensors"):
                    check_header(file)
            print(f"{name}: transformers ({how}) -> {dtype} -> transformers: equal parameters and logits")
    if c.nInner != 4 * c.nEmbd or name in OPTIONS:
        return
    for dtype in ("f32", "bf16"):
        file = folder / f"{dtype}.bin"
        convert(dist, sources["shards"], file, dtype=dtype, format="llm.c")
        check_llmc(file, c, weights, dtype)
        back = folder / f"back-{dtype}"
        convert(dist, file, back, dtype=dtype)
        check_folder(back, model, ids, dtype)
        print(f"{name}: -> llm.c {dtype} -> numpy, and -> transformers: equal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where the project was compiled to")
    dist = parser.parse_args().dist
    for name, c in CONFIGS.items():
        with tempfile.TemporaryDirectory() as folder:
            check_model(dist, name, c, Path(folder))
    print("all equal")


if __name__ == "__main__":
    sys.exit(main())
