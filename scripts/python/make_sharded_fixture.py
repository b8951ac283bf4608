"""Writes test/fixtures/hf-sharded: a small seeded GPT-2, sharded by transformers' own save_pretrained.

    python3 scripts/python/make_sharded_fixture.py

The weights are those of seeded_weights.py (and its twin, test/helpers/seeded-weights.ts), so no values are stored
beside the model.
"""

import shutil
from pathlib import Path

from seeded_weights import Config, hugging_face_model, seeded_weights

SEED = 2718
CONFIG = Config(vocabSize=19, nCtx=7, nEmbd=10, nLayer=2, nHead=2, nInner=24)
FOLDER = Path(__file__).parents[2] / "test" / "fixtures" / "hf-sharded"


def main() -> None:
    readme = (FOLDER / "README.md").read_text()
    shutil.rmtree(FOLDER)
    model = hugging_face_model(CONFIG, seeded_weights(CONFIG, SEED))
    model.save_pretrained(FOLDER, max_shard_size="4KB")
    (FOLDER / "README.md").write_text(readme)
    print(*sorted(p.name for p in FOLDER.iterdir()))


if __name__ == "__main__":
    main()
