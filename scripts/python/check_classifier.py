"""Checks with transformers and PEFT that they load classifiers, regressors and adapters made by gpt2-ts, without a
missing or unexpected tensor and with the same logits for a padded batch of texts; and that models saved by
transformers classify texts the same way here.

    pip install torch transformers peft safetensors
    npm run build
    OMP_NUM_THREADS=1 python scripts/python/check_classifier.py [WORK] [--dist dist]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoTokenizer, GPT2ForSequenceClassification

ROOT = Path(__file__).resolve().parents[2]
parser = argparse.ArgumentParser()
parser.add_argument("work", nargs="?", type=Path, help="a folder to keep what is made")
parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where the project was compiled to")
ARGS = parser.parse_args()
CLI = ARGS.dist.resolve() / "src" / "cli" / "main.js"
WORK = ARGS.work or Path(tempfile.mkdtemp())
MODEL = ROOT / "models" / "default"
TOLERANCE = 2e-5


def gpt2(*args):
    result = subprocess.run(["node", str(CLI), *map(str, args)], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"gpt2 {' '.join(map(str, args))}: {result.stderr}")
    return result.stdout


def write(name, lines):
    path = WORK / name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


ANIMALS, COLOURS = ["cat", "dog", "horse", "fox"], ["red", "blue", "green", "white"]
words = [
    {"text": f"It was a {a} and a {b}, they said{'.' * (1 + i % 3)}", "label": label}
    for i, (label, names) in enumerate([("animal", ANIMALS), ("colour", COLOURS)])
    for a in names
    for b in names
]
numbers = [{"text": f"{'very ' * n}good", "label": n / 2} for n in range(8)]
DATA = {"classify": write("words.jsonl", words), "regress": write("numbers.jsonl", numbers)}


def ours(data, *model):
    """Logits [texts, labels] by gpt2 classify."""
    lines = [json.loads(line) for line in gpt2("classify", "--data", data, "--json", *model).splitlines()]
    return torch.tensor([[s["logit"] for s in x["scores"]] if "scores" in x else [x["value"]] for x in lines])


def theirs(model, data, folder=MODEL):
    tokenizer = AutoTokenizer.from_pretrained(folder, pad_token="<|endoftext|>")
    texts = [json.loads(line)["text"] for line in data.read_text().splitlines()]
    batch = tokenizer(texts, return_tensors="pt", padding=True, padding_side="right")
    with torch.no_grad():
        return model.float().eval()(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits


def compare(what, a, b):
    difference = (a - b).abs().max().item() / b.abs().max().item()
    print(f"{what}: largest difference {difference:.1e} of the largest logit")
    if not difference < TOLERANCE:
        sys.exit("too far apart")


def load(folder):
    model, report = GPT2ForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    if any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        sys.exit(f"{folder}: {report}")
    return model


common = ["--model", MODEL, "--steps", 6, "--val-fraction", "0", "--threads", 1]
for task in ("classify", "regress"):
    out = WORK / task
    gpt2("finetune", DATA[task], "--task", task, "--out", out, *common)
    model = load(out / "model")
    print(f"{task}: {model.config.problem_type}, labels {list(model.config.id2label.values())}")
    compare(f"{task}, written here", theirs(model, DATA[task], out / "model"), ours(DATA[task], "--model", out / "model"))
    model.save_pretrained(WORK / f"{task}-back")
    (WORK / f"{task}-back" / "tokenizer.json").write_bytes((out / "model" / "tokenizer.json").read_bytes())
    saved = ours(DATA[task], "--model", WORK / f"{task}-back")
    compare(f"{task}, saved by transformers", theirs(model, DATA[task]), saved)

out = WORK / "adapter"
gpt2("finetune", DATA["classify"], "--task", "classify", "--lora", 4, "--lr", "0.01", "--out", out, *common)
end = AutoTokenizer.from_pretrained(MODEL, pad_token="<|endoftext|>").pad_token_id
# Otherwise PEFT would hold the adapter in the model's half precision too.
base = GPT2ForSequenceClassification.from_pretrained(MODEL, num_labels=2, pad_token_id=end, dtype=torch.float32)
model = PeftModel.from_pretrained(base, out / "adapter")
with_adapter = ours(DATA["classify"], "--model", MODEL, "--adapter", out / "adapter")
compare("adapter in PEFT", theirs(model, DATA["classify"]), with_adapter)
gpt2("merge", out / "adapter", WORK / "merged", "--model", MODEL, "--dtype", "f32", "--overwrite")
compare("adapter merged here", theirs(load(WORK / "merged"), DATA["classify"]), theirs(model, DATA["classify"]))
