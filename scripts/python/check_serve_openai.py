"""Checks `gpt2 serve` with OpenAI's Python SDK: streaming, disconnecting, errors, retries, many requests at once.

    pip install openai && npm run build && python3 scripts/python/check_serve_openai.py [--model NAME]

Starts the server itself, with a key and a short queue.
"""

import argparse
import asyncio
import os
import re
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai

ROOT = Path(__file__).parents[2]
KEY = "a-key-for-this-check"


def start(model):
    command = ["node", "dist/src/cli/main.js", "serve", "--port", "0", "--name", "served", "--queue", "6", "--slots", "4"]
    command += ["--model", model] if model else []
    environment = {**os.environ, "GPT2_API_KEY": KEY}
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment)
    for line in process.stderr:
        if found := re.search(r" at (http:\S+)$", line.strip()):
            return process, found.group(1)
    raise SystemExit("the server did not start")


def metric(base, name):
    request = urllib.request.Request(base + "/metrics", headers={"authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request) as response:
        return float(re.search(rf"^{name} (\S+)$", response.read().decode(), re.M).group(1))


def error_of(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def texts(client):
    body = dict(model="served", prompt="Once upon a time", max_tokens=20, seed=4)
    whole = client.completions.create(**body)
    chunks = list(client.completions.create(**body, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    scored = client.completions.create(model="served", prompt="Once upon", max_tokens=0, echo=True, logprobs=2)
    assert scored.choices[0].logprobs.token_logprobs[0] is None and scored.choices[0].text == "Once upon"

    chat = dict(model="served", messages=[{"role": "user", "content": "Hello"}], max_tokens=12, seed=1)
    message = client.chat.completions.create(**chat, logprobs=True, top_logprobs=3).choices[0]
    assert len(message.logprobs.content[0].top_logprobs) == 3
    streamed = client.chat.completions.create(**chat, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in streamed) == message.message.content
    # The SDK parses only replies that are complete.
    end = message.message.content[-1]
    with client.chat.completions.stream(**chat, stop=[end]) as stream:
        assert stream.get_final_completion().choices[0].message.content == message.message.content.split(end)[0]

    ask = dict(model="served", input="Hello", max_output_tokens=8, temperature=0)
    response = client.responses.create(**ask)
    events = client.responses.create(**ask, stream=True)
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == response.output_text
    with client.responses.stream(**ask) as stream:
        assert "".join(e.delta for e in stream if e.type == "response.output_text.delta") == response.output_text

    # The SDK itself asks for base64, and returns floats.
    vectors = client.embeddings.create(model="served", input=["a cat", "a dog"]).data
    floats = client.embeddings.create(model="served", input=["a cat", "a dog"], encoding_format="float").data
    assert all(abs(a - b) < 1e-6 for x, y in zip(vectors, floats) for a, b in zip(x.embedding, y.embedding))
    assert [model.id for model in client.models.list()] == ["served"]
    assert client.models.retrieve("served").id == "served"
    assert whole._request_id.startswith("req-")


def leaving(client, base):
    body = dict(model="served", prompt="a", max_tokens=1000, n=4, extra_body={"ignore_eos": True})
    stream = client.completions.create(**body, stream=True)
    next(iter(stream))
    stream.close()
    error_of(openai.APITimeoutError, lambda: client.with_options(timeout=0.2, max_retries=0).completions.create(**body))
    until = time.time() + 60
    while metric(base, "gpt2_sequences_running") + metric(base, "gpt2_sequences_waiting") > 0:
        assert time.time() < until, "texts go on for a client that left"
        time.sleep(0.01)


def errors(client, base):
    error = error_of(openai.BadRequestError, lambda: client.completions.create(model="served", prompt="a", temperature=-1))
    assert (error.param, error.code, error.status_code) == ("temperature", "invalid_value", 400)
    assert error.request_id.startswith("req-")
    error = error_of(openai.NotFoundError, lambda: client.completions.create(model="other", prompt="a"))
    assert error.param == "model"
    long = [{"role": "user", "content": "word " * 5000}]
    error = error_of(openai.BadRequestError, lambda: client.chat.completions.create(model="served", messages=long))
    assert error.code == "context_length_exceeded"
    stranger = openai.OpenAI(base_url=base + "/v1", api_key="another-key")
    error_of(openai.AuthenticationError, lambda: stranger.models.list())


def retries(client, base):
    body = dict(model="served", prompt="a", max_tokens=60, temperature=0, extra_body={"ignore_eos": True})
    impatient = client.with_options(max_retries=0)
    patient = client.with_options(max_retries=50)

    def ask(which):
        try:
            return which.completions.create(**body).choices[0].text
        except openai.RateLimitError as error:
            assert error.code == "queue_full" and float(error.response.headers["retry-after"]) >= 1
            return None

    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(ask, [impatient] * 40))
        assert None in answers and any(answers), "some are refused"
        answers = set(pool.map(ask, [patient] * 40))
    assert len(answers) == 1 and None not in answers, "each waits its turn, and has the same answer"
    return int(metric(base, "gpt2_requests_refused_total"))


async def together(base):
    async with openai.AsyncOpenAI(base_url=base + "/v1", api_key=KEY, max_retries=50) as client:
        bodies = [dict(model="served", prompt=f"Number {i}", max_tokens=16, seed=i) for i in range(16)]
        at_once = await asyncio.gather(*(client.completions.create(**body) for body in bodies))
        for body, answer in zip(bodies[:4], at_once):
            alone = await client.completions.create(**body)
            assert alone.choices[0].text == answer.choices[0].text, "the same alone and among others"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="by default the package's own")
    process, base = start(parser.parse_args().model)
    try:
        client = openai.OpenAI(base_url=base + "/v1", api_key=KEY)
        texts(client)
        leaving(client, base)
        errors(client, base)
        refused = retries(client, base)
        asyncio.run(together(base))
    finally:
        process.terminate()
        code = process.wait(60)
    assert code == 0, f"the server ended with {code}"
    print(f"openai {openai.__version__}: texts, streams, vectors, errors as they should be; {refused} refused and asked again")


if __name__ == "__main__":
    main()
