"""Checks with transformers and PEFT that GPT-Neos and their adapters, trained or written here, load there, and vice
versa.

    npm run build && pip install torch transformers peft safetensors
    OMP_NUM_THREADS=1 python3 scripts/python/check_gpt_neo.py [--dist dist]

Folders are loaded without a missing or unexpected tensor, and give the same logits as here, at lengths beyond the
local window. Not part of `npm test`: it needs Python.
"""

import argparse
import json
import subprocess
import tempfile
import warnings
from pathlib import Path
from shutil import copyfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import load_peft_weights, set_peft_model_state_dict
from seeded_weights import Config, gpt_neo_model, gpt_neo_table, seeded_tokens, seeded_weights
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, GPTNeoForCausalLM

warnings.filterwarnings("ignore")
ROOT = Path(__file__).parents[2]
SEED = 5
CONFIG = Config(vocabSize=8192, nCtx=64, nEmbd=48, nLayer=4, nHead=4, nInner=192)
OPTIONS = {"attention_types": [[["global", "local"], 2]], "window_size": 11}
IDS = torch.tensor([seeded_tokens(CONFIG, SEED, 1, CONFIG.nCtx)])
# Single precision on both sides; logits are about 10 in magnitude.
TOLERANCE = {"f32": 2e-4, "f16": 0.2, "bf16": 2.0}
TORCH = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}

LOGITS = """
const { GPT2 } = await import(process.argv[1]);
const [base, options, ids] = process.argv.slice(2);
const model = await GPT2.load(base === "" ? undefined : base, { ...JSON.parse(options), threads: 1 });
console.log(JSON.stringify(Array.from(await model.logits(JSON.parse(ids)))));
"""


class Ours:
    def __init__(self, dist: Path):
        self.dist = dist.resolve()

    def gpt2(self, *args) -> None:
        command = ["node", self.dist / "src/cli/main.js", *map(str, args)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def logits(self, base, **options) -> torch.Tensor:
        module = (self.dist / "src/gpt2.js").as_uri()
        arguments = [module, str(base), json.dumps(options), json.dumps(IDS[0].tolist())]
        command = ["node", "--input-type=module", "-e", LOGITS, *arguments]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return torch.tensor(json.loads(out)).reshape(1, len(IDS[0]), -1)


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model.float().eval()(IDS).logits


def compare(what: str, got: torch.Tensor, want: torch.Tensor, tolerance: float = TOLERANCE["f32"]) -> None:
    difference = (got - want).abs().max().item()
    print(f"  {what}: largest difference {difference:.1e}")
    assert difference < tolerance, what


def load(folder: Path, kind=AutoModelForCausalLM):
    model, info = kind.from_pretrained(folder, output_loading_info=True)
    problems = {key: value for key, value in info.items() if value}
    assert not problems, f"{folder}: {problems}"
    return model.eval()


def check_files(ours: Ours, work: Path) -> Path:
    print("files")
    model = gpt_neo_model(CONFIG, seeded_weights(CONFIG, SEED, gpt_neo_table), **OPTIONS)
    sources = {name: work / name for name in ("one", "shards", "pickled")}
    model.save_pretrained(sources["one"])
    model.save_pretrained(sources["shards"], max_shard_size="500KB")
    assert len(list(sources["shards"].glob("model-*.safetensors"))) > 1
    model.config.save_pretrained(sources["pickled"])
    torch.save(model.state_dict(), sources["pickled"] / "pytorch_model.bin")
    want = logits(model)
    for name, folder in sources.items():
        compare(f"{name} by transformers, logits here", ours.logits(folder), want)
        for dtype in ("f32", "f16", "bf16"):
            written = work / f"{name}-{dtype}"
            ours.gpt2("convert", folder, written, "--dtype", dtype)
            loaded = load(written)
            assert isinstance(loaded, GPTNeoForCausalLM) and loaded.dtype == TORCH[dtype], (written, loaded.dtype)
            assert loaded.config.attention_types == OPTIONS["attention_types"], loaded.config.attention_types
            for key, parameter in model.state_dict().items():
                assert torch.equal(loaded.state_dict()[key], parameter.to(TORCH[dtype])), f"{written}: {key}"
            compare(f"{name} written here in {dtype}", logits(loaded), want, TOLERANCE[dtype])
    copyfile(ROOT / "models/default/tokenizer.json", sources["one"] / "tokenizer.json")
    return sources["one"]


def check_training(ours: Ours, work: Path) -> None:
    print("trained here from scratch")
    text = work / "text.txt"
    text.write_text("\n".join(f"{a} plus {b} is {a + b}." for a in range(40) for b in range(40)))
    shape = ["--layers", 3, "--embd", 32, "--heads", 2, "--context", 64, "--vocab-size", 8192]
    training = ["--steps", 20, "--sample-every", 0, "--threads", 1, "--tokenizer", ROOT / "models/default/tokenizer.json"]
    ours.gpt2("train", text, "--out", work / "scratch", "--arch", "gpt-neo", *shape, *training)
    model = load(work / "scratch/model")
    assert model.config.attention_layers == ["global", "local", "global"], model.config.attention_layers
    compare("logits there and here", ours.logits(work / "scratch/model"), logits(model))


def check_adapters(ours: Ours, base: Path, work: Path) -> None:
    pairs = [{"prompt": f"{a} plus {b} is", "completion": f" {a + b}."} for a in range(9) for b in range(9)]
    (work / "data.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    training = ["--steps", 12, "--lr", 0.02, "--val-every", 0, "--sample-every", 0, "--seq-length", 32, "--threads", 1]
    plain = logits(load(base))
    for i, flags in enumerate((["--lora", 4], ["--lora", 2, "--lora-targets", "q_proj,v_proj,c_proj"], ["--lora", 2, "--lora-extras", "norms,biases"])):
        print("trained here:", *flags)
        run = work / f"ours-{i}"
        ours.gpt2("finetune", work / "data.jsonl", "--model", base, "--out", run, *flags, *training)
        model = PeftModel.from_pretrained(load(base), run / "adapter")
        fresh = get_peft_model(load(base), model.peft_config["default"])
        result = set_peft_model_state_dict(fresh, load_peft_weights(str(run / "adapter")))
        assert not result.unexpected_keys, result.unexpected_keys
        assert not [key for key in result.missing_keys if "lora_" in key], result.missing_keys
        want = logits(model)
        assert (want - plain).abs().max() > 0.1, "the adapter does nothing"
        key = "merge" if "--lora-extras" in flags else "adapters"
        compare("logits by PEFT and here", ours.logits(base, **{key: str(run / "adapter")}), want)
        ours.gpt2("merge", run / "adapter", run / "merged")
        compare("merged here, loaded by transformers", logits(load(run / "merged")), want)
    for i, options in enumerate(({}, {"target_modules": "all-linear", "use_rslora": True}, {"target_modules": ["k_proj", "out_proj", "c_fc"], "r": 5})):
        print("made by PEFT:", options or "default targets")
        torch.manual_seed(1)
        model = get_peft_model(load(base), LoraConfig(task_type="CAUSAL_LM", **options))
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.02)
        for _ in range(8):
            optimizer.zero_grad()
            model(IDS, labels=IDS).loss.backward()
            optimizer.step()
        model.save_pretrained(work / f"theirs-{i}")
        compare("logits here, chosen by request", ours.logits(base, adapters=str(work / f"theirs-{i}")), logits(model))
        compare("merged as it is loaded", ours.logits("", merge=str(work / f"theirs-{i}")), logits(model))


def check_classifier(ours: Ours, base: Path, work: Path) -> None:
    print("a classifier trained here")
    lines = [{"text": f"{'Alice' if i % 2 else 'the'} {i}", "label": "good" if i % 2 else "bad"} for i in range(60)]
    (work / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    ours.gpt2("finetune", work / "labels.jsonl", "--task", "classify", "--model", base, "--out", work / "labels", "--steps", 10, "--threads", 1)
    model = load(work / "labels/model", AutoModelForSequenceClassification)
    assert model.config.id2label == {0: "bad", 1: "good"}, model.config.id2label


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    ours = Ours(parser.parse_args().dist)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        base = check_files(ours, work)
        check_training(ours, work)
        check_adapters(ours, base, work)
        check_classifier(ours, base, work)
    print("all equal")


if __name__ == "__main__":
    main()
