"""Compares the masks of constrained output with llguidance's, token by token along valid instances of JSON Schemas.

    python scripts/python/check_constraint.py schemas.jsonl.gz [EVERY]

Needs llguidance and numpy from PyPI, and the build of this package. White space is `any`, llguidance's own policy.
Forcing is off there, so that its masks hold every token that fits. Schemas that either side refuses are counted
separately. Known differences: -0 in ranges that include 0, and the meaning of \\d, \\w and \\s in patterns (Unicode
there, ECMA-262 here).
"""

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import llguidance
import llguidance.numpy as bitmasks
import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "walks.json"
        script = ROOT / "dist" / "scripts" / "constraint-walks.js"
        subprocess.run(["node", script, sys.argv[1], out, *sys.argv[2:3]], check=True)
        data = json.loads(out.read_text())
    tokens = [bytes.fromhex(text) for text in data["bytes"]]
    end = data["end"]
    tokens[end] = b"<|endoftext|>"
    single = {token[0]: i for i, token in enumerate(tokens) if len(token) == 1}

    class Wrapper:
        eos_token_id = end
        bos_token_id = None
        special_token_ids = [end]

        def __call__(self, text):
            return [single[byte] for byte in (text.encode() if isinstance(text, str) else text)]

    Wrapper.tokens = tokens
    tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Wrapper()))
    equal, different, refused = 0, [], 0
    for walk in data["walks"]:
        schema = {**walk["schema"], "x-guidance": {"whitespace_flexible": True}}
        grammar = '%llguidance {"no_forcing": true}\nstart: %json ' + json.dumps(schema)
        try:
            matcher = llguidance.LLMatcher(tokenizer, llguidance.LLMatcher.grammar_from_lark(grammar))
        except ValueError:
            refused += 1
            continue
        if matcher.is_error():
            refused += 1
            continue
        for i, (token, encoded) in enumerate(zip(walk["ids"], walk["masks"])):
            theirs = bitmasks.allocate_token_bitmask(1, tokenizer.vocab_size)
            bitmasks.fill_next_token_bitmask(matcher, theirs, 0)
            theirs = theirs[0].view(np.uint32)
            ours = np.frombuffer(base64.b64decode(encoded), dtype=np.uint32)
            if np.array_equal(theirs[: len(ours)], ours):
                equal += 1
            else:
                before = b"".join(tokens[id] for id in walk["ids"][:i])[-40:]
                names = [[tokens[32 * j + k] for j in np.nonzero(a & ~b)[0] for k in range(32) if (int(a[j]) & ~int(b[j])) >> k & 1][:4]
                         for a, b in ((ours, theirs[: len(ours)]), (theirs[: len(ours)], ours))]
                different.append((walk["name"], before, *names))
            if not matcher.consume_token(token):
                break
    for name, before, ours, theirs in different:
        print(f"{name} after {before}: only here {ours}, only there {theirs}")
    print(f"llguidance {llguidance.__version__}: {len(data['walks'])} schemas, {refused} refused there, "
          f"{equal} masks equal, {len(different)} different")


if __name__ == "__main__":
    main()
