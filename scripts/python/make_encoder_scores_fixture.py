"""Writes test/fixtures/evaluate/encoder-scores.json: the scores of seqeval and SQuAD's script for made-up tags and
answers.

    pip install seqeval==1.2.2
    pip download --no-deps transformers==4.46.3 && unzip transformers-4.46.3-*.whl -d /tmp/transformers-4
    python3 scripts/python/make_encoder_scores_fixture.py --transformers /tmp/transformers-4

Entities: seqeval in its default mode. Answers: transformers' squad_metrics.py, which is SQuAD's evaluation script 2.0.
"""

import argparse
import json
import random
import sys
import types
import warnings
from pathlib import Path

from seqeval.metrics import accuracy_score, classification_report, f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities

OUT = Path(__file__).parents[2] / "test" / "fixtures" / "evaluate" / "encoder-scores.json"
WORDS = "the a Denver Broncos won 24 to 10, in Santa-Clara's stadium at Super Bowl 50 über Übung".split()


def tags(rng: random.Random) -> dict:
    """Sequences of tags in several styles, well-formed and malformed."""
    styles = ["BI", "BI", "BIES", "I"]
    kinds = ["PER", "LOC", "ORG-X", "MISC"]
    texts = []
    for i in range(60):
        letters = styles[i % len(styles)]
        choices = ["O"] * 3 + [f"{letter}-{kind}" for letter in letters for kind in kinds]
        expected = [rng.choice(choices) for _ in range(rng.randrange(1, 12))]
        given = [tag if rng.random() < 0.7 else rng.choice(choices) for tag in expected]
        texts.append((expected, given))
    texts.append((["NOUN", "NOUN", "VERB"], ["NOUN", "VERB", "VERB"]))
    texts.append((["O", "O"], ["O", "O"]))
    expected, given = [list(side) for side in zip(*texts)]
    micro = [metric(expected, given) for metric in (precision_score, recall_score, f1_score)]
    report = classification_report(expected, given, output_dict=True)
    return {
        "texts": texts,
        "entities": [[list(entity) for entity in get_entities(text)] for text in expected],
        "accuracy": accuracy_score(expected, given),
        "micro": micro,
        "macroF1": report["macro avg"]["f1-score"],
        "types": {k: [v["precision"], v["recall"], v["f1-score"], int(v["support"])] for k, v in report.items() if "avg" not in k},
    }


def squad_metrics(folder: Path):
    """Loads the single module without its package's imports."""
    path = folder / "transformers" / "data" / "metrics" / "squad_metrics.py"
    for name in ("transformers4", "transformers4.models", "transformers4.models.bert", "transformers4.utils"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["transformers4.models.bert"].BasicTokenizer = object
    sys.modules["transformers4.utils"].logging = types.SimpleNamespace(get_logger=lambda name: None)
    source = path.read_text().replace("from ...", "from transformers4.")
    module = types.ModuleType("squad_metrics")
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


def phrase(rng: random.Random) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 5)))


def answers(rng: random.Random, squad, with_none: bool) -> dict:
    examples, predictions, scores = [], {}, {}
    for i in range(120):
        accepted = [] if with_none and rng.random() < 0.35 else [phrase(rng) for _ in range(rng.randrange(1, 4))]
        kind = rng.random()
        given = "" if with_none and kind < 0.3 else phrase(rng) if kind < 0.6 or not accepted else rng.choice(accepted)
        if kind > 0.8:
            given = " ".join(given.split()[:-1]) or given
        qid = str(i)
        text = [{"text": answer, "answer_start": 0} for answer in accepted]
        examples.append(types.SimpleNamespace(qas_id=qid, answers=text))
        predictions[qid] = given
        scores[qid] = round(rng.random(), 6)
    result = squad.squad_evaluate(examples, predictions, no_answer_probs=scores)
    questions = [
        {"accepted": [a["text"] for a in e.answers], "answer": predictions[e.qas_id], "noAnswer": scores[e.qas_id]} for e in examples
    ]
    return {"questions": questions, "result": dict(result)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--transformers", type=Path, required=True)
    squad = squad_metrics(parser.parse_args().transformers)
    rng = random.Random(14)
    warnings.simplefilter("ignore")
    out = {"tags": tags(rng), "squad1": answers(rng, squad, False), "squad2": answers(rng, squad, True)}
    plain = lambda number: number.item()  # of numpy
    OUT.write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":"), default=plain) + "\n")
    print(OUT, OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
