"""Validates what a model wrote under JSON Schemas with the jsonschema package, and asks xgrammar whether it accepts it too.

    python scripts/python/check_constrained_outputs.py schemas.jsonl.gz [EVERY]

Needs jsonschema and xgrammar from PyPI, and the build of this package, whose default model writes. Outputs cut off by the limit
on tokens are counted apart. xgrammar reads properties in the order of the schema, as this package writes them.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import jsonschema
import xgrammar

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "outputs.json"
        script = ROOT / "dist" / "scripts" / "constraint-outputs.js"
        subprocess.run(["node", script, sys.argv[1], out, *sys.argv[2:3]], check=True)
        results = json.loads(out.read_text())
    info = xgrammar.TokenizerInfo([bytes([byte]) for byte in range(256)] + [b"<end>"], xgrammar.VocabType.RAW, stop_token_ids=[256])
    compiler = xgrammar.GrammarCompiler(info)
    counts, invalid, unaccepted = Counter(), [], []
    for result in results:
        if "refused" in result:
            counts["schemas refused"] += 1
            continue
        if result["finishReason"] in ("length", "context"):
            counts["cut off"] += 1
            continue
        schema, value = result["schema"], json.loads(result["text"])
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        error = next(kind(schema, format_checker=kind.FORMAT_CHECKER).iter_errors(value), None)
        counts["invalid" if error else "valid"] += 1
        if error:
            invalid.append((result["name"], error.message[:100], result["text"][:200]))
            continue
        try:
            grammar = compiler.compile_json_schema(json.dumps(schema), any_whitespace=True, strict_mode=False)
        except RuntimeError:
            counts["schemas refused by xgrammar"] += 1
            continue
        accepted = xgrammar.GrammarMatcher(grammar).accept_string(result["text"])
        counts["accepted by xgrammar" if accepted else "not accepted by xgrammar"] += 1
        if not accepted:
            unaccepted.append((result["name"], result["text"][:200]))
    for line in invalid:
        print("invalid:", *line)
    for line in unaccepted:
        print("not accepted by xgrammar:", *line)
    print(f"jsonschema {version('jsonschema')}, xgrammar {version('xgrammar')}: {dict(counts)}")


if __name__ == "__main__":
    main()
