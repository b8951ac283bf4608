"""Reads a run's folder as TensorBoard does, and compares the events with the run's metrics.jsonl.

    pip install tensorboard==2.21.0 && python scripts/python/check_event_files.py RUN
"""

import json
import struct
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = Path(sys.argv[1])
reader = EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
reader.Reload()

SCALARS = {
    "step": {"loss/train": "loss", "lr": "lr", "grad_norm": "gradNorm"},
    "validation": {"loss/validation": "loss", "bits_per_byte": "bitsPerByte"},
}


def as_float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
for kind, tags in SCALARS.items():
    for tag, field in tags.items():
        want = [(e["step"], as_float32(e[field])) for e in events if e["type"] == kind and field in e]
        got = [(e.step, e.value) for e in reader.Scalars(tag)] if tag in reader.Tags()["scalars"] else []
        assert got == want, f"{tag}: {len(got)} points, want {len(want)}"
        print(f"{tag}: {len(got)} points, the same")

want = [(e["step"], e["text"]) for e in events if e["type"] == "sample"]
tensors = reader.Tensors("sample") if "sample" in reader.Tags()["tensors"] else []
got = [(e.step, e.tensor_proto.string_val[0].decode()) for e in tensors]
assert [(step, "\n".join("    " + line for line in text.split("\n"))) for step, text in want] == got, "sample"
print(f"sample: {len(got)} texts, the same")
