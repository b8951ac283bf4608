"""Writes test/fixtures/evaluate/harness.json: the LM evaluation harness's results for every item of the fixtures'
data sets.

    pip install lm-eval==0.4.13 && npm run build && python3 scripts/python/make_harness_fixture.py

Its tasks lambada_openai, hellaswag, blimp_* and wikitext are unchanged, except that the data come from files:
prompts, requests and scoring are the harness's own. The model is a small seeded GPT-2 (seeded_weights.py) with
GPT-2's vocabulary, run by transformers in float64.

    python3 scripts/python/make_harness_fixture.py --model models/default

writes harness-default.json beside it, the same with the package's default model; run it when that model changes.

    python3 scripts/python/make_harness_fixture.py --model FOLDER --data FOLDER --limit 100 --out harness.json

does the same for a Hugging Face folder and other data; scripts/compare-harness.ts compares the output of `gpt2 eval
--json` with it. The limit counts items: for BLiMP in all (the first pairs of each paradigm), for WikiText pages. To
compare speeds: `--dtype float32`, and `--shape gpt2 --save FOLDER` for a model of GPT-2's size.

    python3 scripts/python/make_harness_fixture.py --server http://127.0.0.1:8080 --data FOLDER --limit 100 --out served.json

asks a running `gpt2 serve` instead of transformers, through the harness's `local-completions` with the tokenizer that
the server offers; the results should agree with `gpt2 eval` of the same model to the last bits.
"""

import argparse
import bz2
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"

import lm_eval
import torch
import transformers
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml
from seeded_weights import Config, hugging_face_model, seeded_weights

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "test" / "fixtures" / "evaluate"
SEED = 7
CONFIG = Config(nCtx=128, nEmbd=48, nLayer=2, nHead=4, nInner=192)
SAVE_TOKENIZER = """
const [dist, folder] = process.argv.slice(1);
const { gpt2Tokenizer } = await import(`${dist}/src/tokenizer/index.js`);
const { saveTokenizer } = await import(`${dist}/src/tokenizer/files.js`);
await saveTokenizer(await gpt2Tokenizer(), folder);
"""


def pages(text):
    """The pages of EleutherAI/wikitext_document_level: cut before the headings of level one."""
    found, lines = [], []
    for line in text.split("\n"):
        title = line.replace("= = =", "===").replace("= =", "==").strip()
        if title.startswith("= ") and title.endswith(" ="):
            page = "\n".join(lines)
            if page.strip():
                found.append(page)
            lines = []
        lines.append(line)
    return [*found, "\n".join(lines)]


def first(data, *names):
    return next((data / name for name in names if (data / name).exists()), None)


def unpack_hellaswag(path, out):
    """github.com/klosax/hellaswag_text_data as the set's own JSON lines; the last fragment begins with a capital."""
    lines = bz2.open(path, "rt", encoding="utf-8").read().split("\n")
    with out.open("w") as file:
        for i in range(0, len(lines) - 5, 6):
            context, label, *endings = lines[i : i + 6]
            context = re.sub(
                r"([.!?][\"')\]]*) ([^\W\d_])(?=[^.!?]*$)", lambda m: f"{m.group(1)} {m.group(2).upper()}", context
            )
            activity, context = context.split(": ", 1)
            item = {"activity_label": activity, "ctx_a": context, "ctx_b": "", "endings": endings, "label": label}
            file.write(json.dumps(item) + "\n")
    return out


def blimp_files(data, scratch):
    if not (data / "blimp" / "data").exists() and (data / "blimp" / "BLiMP.zip").exists():
        with zipfile.ZipFile(data / "blimp" / "BLiMP.zip") as archive:
            archive.extractall(scratch)
        return sorted(p for p in (scratch / "data").glob("*.jsonl"))
    return sorted((data / "blimp" / "data").glob("*.jsonl"))


def task_configs(data, scratch):
    """The harness's own task definitions, with our files in place of the hub's data sets."""
    folder = Path(lm_eval.__file__).parent / "tasks"

    def local(yaml, split, path, **more):
        config = load_yaml(folder / yaml)
        for key in ["tag", "group", "dataset_name", "training_split", "validation_split", "test_split"]:
            config.pop(key, None)
        config["dataset_path"] = "json"
        config["dataset_kwargs"] = {"data_files": {split: str(path)}}
        config["test_split"] = split
        return {**config, **more}

    configs = {}
    if path := first(data, "lambada/lambada_test.jsonl"):
        configs["lambada"] = local("lambada/lambada_openai.yaml", "test", path, task="local_lambada")
    path = first(data, "hellaswag/hellaswag_val.jsonl", "hellaswag/hellaswag_val_full.txt.bz2")
    if path:
        if path.suffix == ".bz2":
            path = unpack_hellaswag(path, scratch / "hellaswag.jsonl")
        configs["hellaswag"] = local("hellaswag/hellaswag.yaml", "test", path, task="local_hellaswag")
    if path := first(data, "wikitext-2/wiki.test.tokens", "wikitext-2/test.txt"):
        out = scratch / "pages.jsonl"
        out.write_text("".join(json.dumps({"page": page}) + "\n" for page in pages(path.read_text())))
        configs["wikitext"] = local("wikitext/wikitext.yaml", "test", out, task="local_wikitext")
    for path in blimp_files(data, scratch):
        name = f"blimp/{path.stem}"
        configs[name] = local("blimp/_template_yaml", "test", path, task=f"local_{path.stem}")
    return configs


def outcome(sample, kind):
    """The harness's model outputs, and its task's results."""
    responses = [list(r[0]) if isinstance(r[0], (list, tuple)) else r[0] for r in sample["resps"]]
    if kind == "wikitext":
        return {"logprob": responses[0], "words": sample["word_perplexity"][1], "bytes": sample["bits_per_byte"][1]}
    if kind == "lambada":
        return {"logprob": responses[0][0], "greedy": bool(responses[0][1])}
    logprobs = [r[0] for r in responses]
    result = {"logprobs": logprobs, "acc": int(sample["acc"])}
    return {**result, "acc_norm": int(sample["acc_norm"])} if "acc_norm" in sample else result


def stopwatch(target, *methods):
    """Seconds spent in these methods of an object so far."""
    spent = [0.0]

    def timed(method):
        def call(*args, **kwargs):
            started = time.time()
            try:
                return method(*args, **kwargs)
            finally:
                spent[0] += time.time() - started

        return call

    for name in methods:
        setattr(target, name, timed(getattr(target, name)))
    return lambda: spent[0]


def served(base):
    """The harness's client of OpenAI's API. Nothing is fetched: the tokenizer is the server's, /tokenizer_info."""
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    with urllib.request.urlopen(base + "/v1/models") as response:
        card = json.load(response)["data"][0]
    return LocalCompletionsAPI(
        model=card["id"],
        base_url=base + "/v1/completions",
        max_length=card["max_model_len"],
        num_concurrent=8,
        batch_size=16,
    )


def local_model(args, scratch):
    """The model of a folder, or the seeded one, by transformers; and the seeded model's shape."""
    shape = Config() if args.shape == "gpt2" else CONFIG
    if args.model:
        model = transformers.AutoModelForCausalLM.from_pretrained(args.model)
        tokenizer_folder = args.model
    else:
        model = hugging_face_model(shape, seeded_weights(shape, SEED))
        tokenizer_folder = Path(args.save) if args.save else scratch / "tokenizer"
        if args.save:
            model.save_pretrained(args.save)
        dist = (ROOT / args.dist).as_uri()
        subprocess.run(
            ["node", "--input-type=module", "-e", SAVE_TOKENIZER, dist, str(tokenizer_folder)], check=True, cwd=ROOT
        )
    end = "<|endoftext|>"
    file = str(Path(tokenizer_folder) / "tokenizer.json")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=file, bos_token=end, eos_token=end)
    model = model.to(getattr(torch, args.dtype)).eval()
    return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=args.batch, device="cpu"), shape


def described(args, shape):
    """A description of the model, for the file."""
    if args.server:
        return {"server": args.server, "dtype": "the server's"}
    if args.model:
        return {"model": args.model, **weights_hash(args.model), "dtype": args.dtype}
    return {"config": vars(shape), "seed": SEED, "dtype": args.dtype}


def weights_hash(folder):
    file = Path(folder) / "model.safetensors"
    return {"weights": hashlib.sha256(file.read_bytes()).hexdigest()} if file.exists() else {}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="a Hugging Face folder; otherwise the seeded one")
    parser.add_argument("--server", help="address of a running gpt2 serve, which answers in place of transformers")
    parser.add_argument("--data", type=Path, default=FIXTURES / "data")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--tasks", help="only those whose names begin with this")
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--shape", choices=["small", "gpt2"], default="small", help="of the seeded model")
    parser.add_argument("--save", help="also write the seeded model here, for `gpt2 eval --model`")
    parser.add_argument("--dist", default="dist")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.server and not args.out:
        parser.error("--server wants --out")
    args.out = args.out or FIXTURES / ("harness-default.json" if args.model else "harness.json")
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        lm, shape = (served(args.server.rstrip("/")), None) if args.server else local_model(args, scratch)
        configs = task_configs(args.data.resolve(), scratch)
        configs = {name: c for name, c in configs.items() if name.startswith(args.tasks or "")}
        answering = stopwatch(lm, "loglikelihood", "loglikelihood_rolling")
        seconds, reports = {}, {}
        for kind in dict.fromkeys(name.split("/")[0] for name in configs):
            tasks = [c for name, c in configs.items() if name.split("/")[0] == kind]
            started, before = time.time(), answering()
            reports[kind] = lm_eval.simple_evaluate(
                model=lm,
                tasks=tasks,
                task_manager=TaskManager(),
                bootstrap_iters=0,
                log_samples=True,
                limit=args.limit and -(-args.limit // len(tasks)),
            )
            seconds[kind] = {"all": time.time() - started, "model": answering() - before}
    results = {}
    for name, config in configs.items():
        report = reports[name.split("/")[0]]
        samples = sorted(report["samples"][config["task"]], key=lambda s: s["doc_id"])
        kind = name.split("/")[0]
        # One filter, hence one sample per document; wikitext has one for each metric.
        samples = list({s["doc_id"]: s for s in samples}.values())
        metrics = {
            key.split(",")[0]: value
            for key, value in report["results"][config["task"]].items()
            if isinstance(value, float) and "stderr" not in key
        }
        results[name] = {"metrics": metrics, "items": [outcome(s, kind) for s in samples]}
    fixture = {
        "madeBy": "scripts/python/make_harness_fixture.py",
        "versions": {
            "lm-eval": lm_eval.__version__,
            "transformers": transformers.__version__,
            "torch": torch.__version__,
        },
        **described(args, shape),
        **({} if args.out.parent == FIXTURES else {"threads": torch.get_num_threads(), "seconds": seconds}),
        "results": results,
    }
    args.out.write_text(json.dumps(fixture, indent=None, separators=(",", ":")) + "\n")
    print(args.out, args.out.stat().st_size, json.dumps(seconds), file=sys.stderr)


if __name__ == "__main__":
    main()
