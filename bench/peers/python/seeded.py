"""The rule for seeded weights belongs to the fixtures; the peers use the same one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "scripts" / "python"))

from seeded_weights import Config, hugging_face_model, seeded_tokens, seeded_weights  # noqa: E402, F401

SEED = 20190214  # the one of test/fixtures/gpt2-124m, whose greedy ids the peers must give too
