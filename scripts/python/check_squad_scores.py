"""Scores the answers of `gpt2 answer --data … --json` with transformers' version of SQuAD's script.

    pip download --no-deps transformers==4.46.3 && unzip transformers-4.46.3-*.whl -d /tmp/transformers-4
    gpt2 answer --data test.json --model BERT --json | python3 scripts/python/check_squad_scores.py --transformers /tmp/transformers-4
"""

import argparse
import json
import sys
from pathlib import Path

from make_encoder_scores_fixture import squad_metrics

parser = argparse.ArgumentParser()
parser.add_argument("--transformers", type=Path, required=True)
squad = squad_metrics(parser.parse_args().transformers)
exact, f1 = [], []
for line in sys.stdin:
    question = json.loads(line)
    accepted = question["accepted"] or [""]
    exact.append(max(squad.compute_exact(answer, question["answer"]) for answer in accepted))
    f1.append(max(squad.compute_f1(answer, question["answer"]) for answer in accepted))
print(f"{len(exact)} questions: exact match {100 * sum(exact) / len(exact):.2f}, F1 {100 * sum(f1) / len(f1):.2f}")
