"""The part of scripts/check-hub-cache.ts that runs the real huggingface_hub and transformers. Prints one line of JSON.

    hub_cache.py download owner/model            every file, as snapshot_download
    hub_cache.py file owner/model FILE           one file, as hf_hub_download
    hub_cache.py scan                            the results of scan_cache_dir, and its warnings
    hub_cache.py version                         nothing else
    hub_cache.py load owner/model                the model and tokenizer as loaded by transformers
"""

import json
import sys

import huggingface_hub


def download(repo):
    return {"path": huggingface_hub.snapshot_download(repo)}


def file(repo, name):
    return {"path": huggingface_hub.hf_hub_download(repo, name)}


def scan():
    info = huggingface_hub.scan_cache_dir()
    repos = [
        {
            "id": repo.repo_id,
            "revisions": [
                {"commit": r.commit_hash, "refs": sorted(r.refs), "files": sorted(f.file_name for f in r.files)}
                for r in repo.revisions
            ],
        }
        for repo in info.repos
    ]
    return {"repos": repos, "warnings": [str(warning) for warning in info.warnings]}


def load(repo):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(repo)
    model = AutoModelForCausalLM.from_pretrained(repo).eval()
    ids = tokenizer("Once upon", return_tensors="pt").input_ids
    with torch.no_grad():
        logits = model(ids).logits[0, -1]
    return {"type": type(model).__name__, "ids": ids[0].tolist(), "logits": logits.tolist()}


if __name__ == "__main__":
    action = {"download": download, "file": file, "scan": scan, "load": load, "version": dict}[sys.argv[1]]
    result = action(*sys.argv[2:])
    print(json.dumps({"version": huggingface_hub.__version__, **result}))
