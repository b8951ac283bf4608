"""Checks item by item that the LM evaluation harness's own client gets the library's results from `gpt2 serve`.

    node dist/src/cli/main.js serve --port 8080 &
    python3 scripts/python/check_serve_harness.py http://127.0.0.1:8080 texts.txt

Needs lm_eval, aiohttp and tenacity. Nothing is fetched: the tokenizer is the server's (/tokenizer_info, /tokenize).
Texts are the paragraphs of a file (by default this one's), cut into contexts and continuations. For each, the
harness's `local-completions` gives the log-likelihood and is_greedy, in batches and one by one, and the rolling
log-likelihood. These are compared with /v1/score (kind logprob), which is the library's `logLikelihoods`, and
is_greedy with greedy generation.
"""

import json
import sys
import urllib.request

from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI


def post(base, path, body):
    request = urllib.request.Request(base + path, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def instances(kind, arguments):
    return [Instance(kind, {}, args, i) for i, args in enumerate(arguments)]


def main(base, path):
    with open(path, encoding="utf-8") as file:
        # Special tokens in texts count as such in the harness, and as characters elsewhere.
        paragraphs = [p.strip() for p in file.read().split("\n\n") if len(p.split()) >= 8 and "<|" not in p]
    texts = [" ".join(p.split())[:600] for p in paragraphs][:60]
    with urllib.request.urlopen(base + "/v1/models") as response:
        card = json.load(response)["data"][0]
    common = dict(model=card["id"], base_url=base + "/v1/completions", max_length=card["max_model_len"])
    lm = LocalCompletionsAPI(**common, num_concurrent=8, batch_size=4)
    alone = LocalCompletionsAPI(**common, num_concurrent=1, batch_size=1)

    pairs = []
    for text in texts:
        words = text.split(" ")
        for share in (0.3, 0.6, 0.9):
            cut = max(1, int(len(words) * share))
            pairs.append((" ".join(words[:cut]), " " + " ".join(words[cut:])))
    # Greedy continuations, so that is_greedy is true for some items.
    for text in texts[:10]:
        answer = post(base, "/v1/completions", {"prompt": text, "max_tokens": 4, "temperature": 0, "ignore_eos": True})
        pairs.append((text, answer["choices"][0]["text"]))

    together = lm.loglikelihood(instances("loglikelihood", pairs))
    single = alone.loglikelihood(instances("loglikelihood", pairs))
    assert together == single, "batches change nothing"
    worst = 0.0
    for (context, continuation), (logprob, _) in zip(pairs, together):
        want = post(base, "/v1/score", {"text_1": context, "text_2": continuation, "kind": "logprob"})["data"][0]["score"]
        worst = max(worst, abs(logprob - want) / max(1.0, abs(want)))
    assert worst < 1e-6, f"log-likelihoods differ by {worst}"

    greedy = 0
    for (context, continuation), (_, is_greedy) in zip(pairs, together):
        ids = [post(base, "/tokenize", {"prompt": text})["tokens"] for text in (context, context + continuation)]
        if ids[1][: len(ids[0])] != ids[0]:
            continue
        count = len(ids[1]) - len(ids[0])
        body = {"prompt": [ids[0]], "max_tokens": count, "temperature": 0, "ignore_eos": True, "return_token_ids": True}
        answer = post(base, "/v1/completions", body)["choices"][0]["token_ids"]
        assert (answer == ids[1][len(ids[0]) :]) == is_greedy, (context, continuation)
        greedy += is_greedy
    rolling = lm.loglikelihood_rolling(instances("loglikelihood_rolling", [(text,) for text in texts[:10]]))
    for text, total in zip(texts, rolling):
        ids = post(base, "/tokenize", {"prompt": text})["tokens"]
        start = post(base, "/tokenize", {"prompt": lm.tokenizer.eos_token})["tokens"]
        body = {"prompt": [start + ids], "max_tokens": 0, "echo": True, "logprobs": 1}
        logprobs = post(base, "/v1/completions", body)["choices"][0]["logprobs"]["token_logprobs"]
        assert abs(sum(logprobs[1:]) - total) < 1e-6 * abs(total), (sum(logprobs[1:]), total)
    until = [(text, {"until": ["."], "max_gen_toks": 16, "temperature": 0}) for text in texts[:5]]
    generated = lm.generate_until(instances("generate_until", until))
    print(f"{len(pairs)} log-likelihoods equal to {worst:.1e}, {greedy} greedy; {len(rolling)} rolling; {len(generated)} generated")


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), sys.argv[2] if len(sys.argv) > 2 else __file__)
