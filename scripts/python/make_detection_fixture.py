"""Scores of token sequences by transformers, for test/misuse/detect.test.ts: test/fixtures/detect/scores.json.

    python3 scripts/python/make_detection_fixture.py

Two seeded GPT-2s over one vocabulary, in float64. The first token of a sequence is context. From the logits come the
statistics as their papers and programs define them:

- mean log-likelihood and mean log-rank (Mitchell et al. 2023; ranks from 1);
- conditional probability curvature in closed form, sampling and scoring model the same (Bao et al. 2024;
  get_sampling_discrepancy_analytic of fast-detect-gpt);
- Binoculars (Hans et al. 2024): log-perplexity of the performer over the cross-entropy of its predictions under the
  observer's. As in its program, the latter is the mean over all positions, including the one after the last token.
"""

import json
import platform
from pathlib import Path

import torch
import transformers
from seeded_weights import Config, hugging_face_model, seeded_tokens, seeded_weights

PERFORMER = (Config(vocabSize=257, nCtx=65, nEmbd=36, nLayer=2, nHead=3, nInner=100), 2301)
OBSERVER = (Config(vocabSize=257, nCtx=80, nEmbd=20, nLayer=1, nHead=2, nInner=64), 2310)
LENGTHS = [2, 6, 33, 65]
OUT = Path(__file__).parents[2] / "test" / "fixtures" / "detect" / "scores.json"


def scores(performer, observer, ids):
    text = torch.tensor([ids])
    logits, observed = performer(text).logits[0], observer(text).logits[0]
    labels = text[0, 1:, None]
    logprobs = torch.log_softmax(logits[:-1], -1)
    probabilities = logprobs.exp()
    own = logprobs.gather(-1, labels)[:, 0]
    ranks = 1 + (logprobs > own[:, None]).sum(-1)
    mean = (probabilities * logprobs).sum(-1)
    variance = (probabilities * logprobs.square()).sum(-1) - mean.square()
    crossed = -(torch.softmax(observed, -1) * torch.log_softmax(logits, -1)).sum(-1)
    return {
        "ids": ids,
        "ranks": ranks.tolist(),
        "logLikelihood": own.mean().item(),
        "logRank": ranks.double().log().mean().item(),
        "curvature": ((own.sum() - mean.sum()) / variance.sum().sqrt()).item(),
        "binoculars": (-own.mean() / crossed.mean()).item(),
        "entropies": (-mean).tolist(),
    }


@torch.no_grad()
def main():
    models = [hugging_face_model(c, seeded_weights(c, seed)).double() for c, seed in (PERFORMER, OBSERVER)]
    texts = [seeded_tokens(PERFORMER[0], PERFORMER[1], 100 + n, n) for n in LENGTHS]
    # A text by the performer itself scores like a model's text.
    written = models[0].generate(torch.tensor([texts[1]]), max_length=60, do_sample=False, pad_token_id=0)
    texts.append(written[0].tolist())
    result = {
        "madeBy": "scripts/python/make_detection_fixture.py",
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__},
        "performer": {"config": vars(PERFORMER[0]), "seed": PERFORMER[1]},
        "observer": {"config": vars(OBSERVER[0]), "seed": OBSERVER[1]},
        "texts": [scores(*models, ids) for ids in texts],
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(OUT, OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
