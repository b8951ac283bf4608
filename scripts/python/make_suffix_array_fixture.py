"""Suffix arrays by divsufsort, for test/misuse/suffix-array.test.ts.

    pip install pydivsufsort==0.0.20
    python scripts/python/make_suffix_array_fixture.py > test/fixtures/trace/suffix-arrays.json
"""

import json
import random

from pydivsufsort import divsufsort


def texts():
    rng = random.Random(20190214)
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "that", "was", "all"]
    yield " ".join(rng.choice(words) for _ in range(400)).encode()
    yield bytes(rng.randrange(256) for _ in range(500))
    yield bytes(rng.randrange(2) for _ in range(500))
    yield b"mississippi" * 30
    yield b"\x00" * 100
    yield b"abcabcabd" * 20 + b"abcabcabc"


cases = [{"text": list(text), "suffixes": [int(i) for i in divsufsort(text)]} for text in texts()]
print(json.dumps(cases, separators=(",", ":")))
