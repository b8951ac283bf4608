"""Compares the masks of constrained output with llguidance's and xgrammar's, token by token along valid instances of JSON Schemas.

    python scripts/python/check_constraint.py schemas.jsonl.gz [EVERY]

Needs llguidance, xgrammar and numpy from PyPI, and the build of this package. White space is `any`; forcing is off in llguidance,
so that its masks hold every token that fits. Schemas that another program refuses are counted apart.

Known differences from llguidance: -0 in ranges that cross 0, and what its patterns take \\d, \\w and \\s for (Unicode there,
ECMA-262 here). xgrammar allows \\/ and DEL in strings (masks that differ only there are counted apart), takes declared names for
additional properties, admits objects only where a schema without `type` has `properties`, matches patterns with the escaped text,
and widens `oneOf`, `allOf` and lengths beside a pattern.
"""

import base64
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import llguidance
import llguidance.numpy as bitmasks
import numpy as np
import xgrammar

ROOT = Path(__file__).resolve().parents[2]


class Llguidance:
    name = "llguidance"

    def __init__(self, tokens, end):
        single = {token[0]: i for i, token in enumerate(tokens) if len(token) == 1}

        class Wrapper:
            eos_token_id = end
            bos_token_id = None
            special_token_ids = [end]

            def __call__(self, text):
                return [single[byte] for byte in (text.encode() if isinstance(text, str) else text)]

        Wrapper.tokens = tokens
        self.tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Wrapper()))

    def start(self, schema):
        schema = {**schema, "x-guidance": {"whitespace_flexible": True}}
        grammar = '%llguidance {"no_forcing": true}\nstart: %json ' + json.dumps(schema)
        matcher = llguidance.LLMatcher(self.tokenizer, llguidance.LLMatcher.grammar_from_lark(grammar))
        if matcher.is_error():
            raise ValueError(matcher.get_error())
        return matcher

    def mask(self, matcher):
        mask = bitmasks.allocate_token_bitmask(1, self.tokenizer.vocab_size)
        bitmasks.fill_next_token_bitmask(matcher, mask, 0)
        return mask[0].view(np.uint32)

    def accept(self, matcher, token):
        return matcher.consume_token(token)


class Xgrammar:
    name = "xgrammar"

    def __init__(self, tokens, end):
        self.size = len(tokens)
        self.compiler = xgrammar.GrammarCompiler(
            xgrammar.TokenizerInfo(tokens, xgrammar.VocabType.RAW, stop_token_ids=[end]))

    def start(self, schema):
        try:
            grammar = self.compiler.compile_json_schema(json.dumps(schema), any_whitespace=True, strict_mode=False)
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        return xgrammar.GrammarMatcher(grammar)

    def mask(self, matcher):
        mask = xgrammar.allocate_token_bitmask(1, self.size)
        matcher.fill_next_token_bitmask(mask)
        mask = mask[0].numpy().view(np.uint32).copy()
        # Bits above the vocabulary are set too.
        if self.size & 31:
            mask[self.size >> 5] &= (1 << (self.size & 31)) - 1
        return mask

    def accept(self, matcher, token):
        return matcher.accept_token(token)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "walks.json"
        script = ROOT / "dist" / "scripts" / "constraint-walks.js"
        subprocess.run(["node", script, sys.argv[1], out, *sys.argv[2:3]], check=True)
        data = json.loads(out.read_text())
    tokens = [bytes.fromhex(text) for text in data["bytes"]]
    tokens[data["end"]] = b"<|endoftext|>"
    for engine in (Llguidance(tokens, data["end"]), Xgrammar(tokens, data["end"])):
        compare(engine, data["walks"], tokens)


def compare(engine, walks, tokens) -> None:
    equal, escapes, different, refused = 0, 0, [], 0
    for walk in walks:
        try:
            matcher = engine.start(walk["schema"])
        except ValueError:
            refused += 1
            continue
        for i, (token, encoded) in enumerate(zip(walk["ids"], walk["masks"])):
            ours = np.frombuffer(base64.b64decode(encoded), dtype=np.uint32)
            theirs = engine.mask(matcher)[: len(ours)]
            more, less = (only(tokens, a, b) for a, b in ((ours, theirs), (theirs, ours)))
            if not more and not less:
                equal += 1
            elif not more and all(b"\x7f" in each or b"\\/" in each for each in less):
                escapes += 1
            else:
                before = b"".join(tokens[id] for id in walk["ids"][:i])[-40:]
                different.append((walk["name"], before, more, less))
            if not engine.accept(matcher, token):
                break
    for name, before, more, less in different:
        print(f"{name} after {before}: {len(more)} only here {more[:4]}, {len(less)} only there {less[:4]}")
    wider = sum(not more for _, _, more, _ in different)
    print(f"{engine.name} {version(engine.name)}: {len(walks)} schemas, {refused} refused there, {equal} masks equal, "
          f"{escapes} but for DEL and \\/, {len(different)} different ({wider} of them wider there)")


def only(tokens, a, b):
    """The tokens of one mask that the other lacks."""
    words = a & ~b
    return [tokens[32 * i + bit] for i in np.nonzero(words)[0] for bit in range(32) if int(words[i]) >> bit & 1]


if __name__ == "__main__":
    main()
