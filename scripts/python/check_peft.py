"""Checks with PEFT that adapters trained here load there with the same logits, and that adapters made there load here.

    npm run build && pip install torch transformers peft safetensors && OMP_NUM_THREADS=1 python3 scripts/python/check_peft.py [--dist dist]

The base model is a seeded GPT-2 of transformers. Adapters by `gpt2 finetune`, in several variants, are loaded by PEFT
without a missing or unexpected tensor, and merged by PEFT and by `gpt2 merge`; adapters by PEFT, after a few steps of
torch's AdamW, are loaded and merged here. Not part of `npm test`: it needs Python.
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
from seeded_weights import Config, hugging_face_model, seeded_weights
from transformers import GPT2LMHeadModel

warnings.filterwarnings("ignore")
ROOT = Path(__file__).parents[2]
CONFIG = Config(vocabSize=8192, nCtx=32, nEmbd=48, nLayer=3, nHead=4, nInner=192)
IDS = torch.tensor([[5, 900, 17, 4000, 8000, 3, 3, 77, 1234, 6]])
# Single precision on both sides; logits are about 10 in magnitude.
TOLERANCE = 2e-4

OURS = {
    "all linear layers": ["--lora", "4"],
    "one, rsLoRA": ["--lora", "3", "--lora-targets", "attn.c_proj", "--rslora", "--lora-alpha", "5"],
    "two by PEFT's names": ["--lora", "2", "--lora-targets", "c_attn,mlp.c_proj", "--lora-dropout", "0.1"],
    "with norms": ["--lora", "2", "--lora-extras", "norms"],
    "with biases": ["--lora", "2", "--lora-extras", "biases"],
    "with norms and biases": ["--lora", "2", "--lora-targets", "c_fc", "--lora-extras", "norms,biases"],
}
THEIRS = {
    "default targets": {},
    "all linear layers, rsLoRA": {"target_modules": "all-linear", "use_rslora": True, "lora_alpha": 3},
    "a pattern for targets": {"target_modules": r".*h\.[02]\.(attn\.c_attn|mlp\.c_fc)", "r": 5},
    "some layers": {"target_modules": ["c_attn"], "layers_to_transform": [1], "layers_pattern": "h"},
    "ranks and alphas by pattern": {
        "target_modules": ["c_attn", "c_proj"],
        "rank_pattern": {"mlp.c_proj": 1, "h.2.attn.c_attn": 7},
        "alpha_pattern": {"transformer.h.0.attn.c_attn": 11},
    },
    "lora_only biases": {"target_modules": ["c_attn"], "bias": "lora_only"},
    "layer norms": {"target_modules": ["c_attn"], "modules_to_save": ["ln_1", "ln_f"]},
    "gaussian initialization": {"target_modules": ["c_fc"], "init_lora_weights": "gaussian"},
}

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
        command = ["node", self.dist / "src/cli/main.js", *map(str, args), "--json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def logits(self, base, **options) -> torch.Tensor:
        module = (self.dist / "src/gpt2.js").as_uri()
        command = ["node", "--input-type=module", "-e", LOGITS, module, str(base), json.dumps(options), json.dumps(IDS[0].tolist())]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return torch.tensor(json.loads(out)).reshape(1, -1, CONFIG.vocabSize)


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(IDS).logits


def compare(what: str, got: torch.Tensor, want: torch.Tensor) -> None:
    difference = (got - want).abs().max().item()
    print(f"  {what}: largest difference {difference:.1e}")
    assert difference < TOLERANCE, what


def load_base(path: Path) -> GPT2LMHeadModel:
    return GPT2LMHeadModel.from_pretrained(path).eval()


def check_ours(ours: Ours, base: Path, work: Path, name: str, flags: list[str]) -> None:
    print(f"trained here: {name}")
    run = work / f"ours-{name.replace(' ', '-').replace(',', '')}"
    training = ["--steps", 12, "--lr", 0.02, "--warmup", 2, "--val-every", 0, "--sample-every", 0, "--seq-length", 32, "--threads", 1]
    ours.gpt2("finetune", work / "data.jsonl", "--model", base, "--out", run, *flags, *training)
    model = PeftModel.from_pretrained(load_base(base), run / "adapter")
    fresh = get_peft_model(load_base(base), model.peft_config["default"])
    result = set_peft_model_state_dict(fresh, load_peft_weights(str(run / "adapter")))
    assert not result.unexpected_keys, result.unexpected_keys
    missing = [key for key in result.missing_keys if "lora_" in key]
    assert not missing, missing
    with_adapter = logits(model)
    changed = (with_adapter - logits(load_base(base))).abs().max().item()
    assert changed > 0.1, f"the adapter does nothing: {changed}"
    key = "merge" if "--lora-extras" in flags else "adapters"
    compare("logits by PEFT and here", ours.logits(base, **{key: str(run / "adapter")}), with_adapter)
    ours.gpt2("merge", run / "adapter", run / "merged")
    compare("merged here, loaded by transformers", logits(load_base(run / "merged")), with_adapter)
    compare("merged by PEFT", logits(model.merge_and_unload()), with_adapter)


def check_theirs(ours: Ours, base: Path, work: Path, name: str, options: dict) -> None:
    print(f"made by PEFT: {name}")
    folder = work / f"theirs-{name.replace(' ', '-').replace(',', '')}"
    torch.manual_seed(1)
    model = get_peft_model(load_base(base), LoraConfig(task_type="CAUSAL_LM", **options))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for _ in range(8):
        optimizer.zero_grad()
        model(IDS, labels=IDS).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    want = logits(model)
    vectors = options.get("bias") or options.get("modules_to_save")
    if not vectors:
        compare("logits here, chosen by request", ours.logits(base, adapters=str(folder)), want)
    # The base model is the one that adapter_config.json names.
    compare("merged as it is loaded", ours.logits("", merge=str(folder)), want)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    ours = Ours(parser.parse_args().dist)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        base = work / "base"
        hugging_face_model(CONFIG, seeded_weights(CONFIG, 3)).save_pretrained(base)
        copyfile(ROOT / "models/default/tokenizer.json", base / "tokenizer.json")
        pairs = [{"prompt": f"{a} plus {b} is", "completion": f" {a + b}."} for a in range(9) for b in range(9)]
        (work / "data.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
        for variant, flags in OURS.items():
            check_ours(ours, base, work, variant, flags)
        for variant, options in THEIRS.items():
            check_theirs(ours, base, work, variant, options)
    print("all equal")


if __name__ == "__main__":
    main()
