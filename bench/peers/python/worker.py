"""A contender of the benchmark in Python: bench/protocol.ts defines the protocol."""

import json
import os
import sys

MARK = "@bench "
SETUP = json.loads(sys.argv[1])
os.environ["OMP_NUM_THREADS"] = str(SETUP["threads"])  # read when torch loads: import this module first


def reply(value: dict) -> None:
    print(MARK + json.dumps(value), flush=True)


def serve(description: str, **handlers) -> None:
    """Answers tasks with the handler of their kind, which takes the task's other fields, until standard input ends."""
    reply({"description": description})
    for line in sys.stdin:
        task = json.loads(line)
        reply(handlers[task.pop("kind")](**task))
