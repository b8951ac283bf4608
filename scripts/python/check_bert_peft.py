"""Checks that PEFT reads the LoRA adapters that `gpt2 finetune --lora` makes for a BERT, and computes the same with
them.

    pip install torch transformers peft
    npm run build && python3 scripts/python/check_bert_peft.py

Trains adapters of test/fixtures/bert/pretraining for labels of words and of texts, and compares probabilities.
"""

import json
import subprocess
import tempfile
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoTokenizer, BertForSequenceClassification, BertForTokenClassification

ROOT = Path(__file__).parents[2]
BASE = ROOT / "test" / "fixtures" / "bert" / "pretraining"
CLI = ["node", str(ROOT / "dist" / "src" / "cli" / "main.js")]
TEXT = "the cat sat in paris"


def data(task: str):
    for i in range(20):
        if task == "label":
            yield {"tokens": TEXT.split(), "tags": ["O", "B-X", "O", "O", ["B-Y", "I-X"][i % 2]]}
        else:
            yield {"text": ["the cat sat", "a dog was in paris"][i % 2], "label": ["x", "y"][i % 2]}


def ours(task: str, adapter: Path) -> list[float]:
    flags = ["--aggregation", "none"] if task == "label" else []
    command = [*CLI, task, TEXT, "--model", str(BASE), "--adapter", str(adapter), "--json", *flags]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return [r["score"] for r in result] if task == "label" else [s["probability"] for s in result["scores"]]


def theirs(task: str, adapter: Path) -> list[float]:
    labels = json.loads((adapter / "classifier.json").read_text())["id2label"]
    kind = BertForTokenClassification if task == "label" else BertForSequenceClassification
    model = PeftModel.from_pretrained(kind.from_pretrained(BASE, num_labels=len(labels)), adapter).eval()
    with torch.no_grad():
        probabilities = model(**AutoTokenizer.from_pretrained(BASE)(TEXT, return_tensors="pt")).logits.softmax(-1)[0]
    if task == "classify":
        return sorted(probabilities.tolist(), reverse=True)
    outside = next(int(i) for i, label in labels.items() if label == "O")
    best, which = probabilities[1:-1].max(-1)
    return [score for score, label in zip(best.tolist(), which.tolist()) if label != outside]


def main() -> None:
    for task in ("label", "classify"):
        with tempfile.TemporaryDirectory() as folder:
            lines = Path(folder) / "data.jsonl"
            lines.write_text("".join(f"{json.dumps(line)}\n" for line in data(task)))
            run = Path(folder) / "run"
            flags = ["--model", str(BASE), "--lora", "4", "--lr", "0.05", "--steps", "6", "--val-every", "0", "--out", str(run)]
            subprocess.run([*CLI, "finetune", str(lines), "--task", task, *flags], check=True, capture_output=True)
            a, b = ours(task, run / "adapter"), theirs(task, run / "adapter")
            assert len(a) == len(b) > 0, (task, a, b)
            difference = max(abs(x - y) for x, y in zip(sorted(a), sorted(b)))
            print(f"{task}: largest difference {difference:.1e}")
            assert difference < 1e-5


if __name__ == "__main__":
    main()
