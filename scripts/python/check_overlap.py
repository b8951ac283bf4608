"""Counts with a Python set of strings, where `gpt2 overlap` uses a Bloom filter.

    python3 scripts/python/check_overlap.py EVAL/lambada/lambada_test.jsonl CORPUS/train-*.txt.gz

prints words and 8-grams of the training text, then the 8-grams of the items, those found, and the items with any: the
figures of `gpt2 overlap build` and of `gpt2 overlap train.bloom lambada`. Needs PyPI `regex` for Unicode's classes.
"""

import gzip
import json
import sys
import unicodedata

import regex

WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*")
N = 8


def ngrams(text):
    words = WORD.findall(unicodedata.normalize("NFKC", text).lower())
    return words, [" ".join(words[i : i + N]) for i in range(len(words) - N + 1)]


def main(items_path, *corpus):
    with open(items_path, encoding="utf8") as lines:
        items = [ngrams(json.loads(line)["text"])[1] for line in lines]
    wanted = {ngram for item in items for ngram in item}
    known = set()
    words = count = 0
    for path in corpus:
        with gzip.open(path, "rt", encoding="utf8") as file:
            for document in file.read().split("\n<|endoftext|>\n"):
                in_document, found = ngrams(document)
                words += len(in_document)
                count += len(found)
                known.update(wanted.intersection(found))
    print(f"training text: {words:,} words, {count:,} {N}-grams")
    looked_up = sum(map(len, items))
    found = sum(ngram in known for item in items for ngram in item)
    with_any = sum(any(ngram in known for ngram in item) for item in items)
    print(f"{len(items):,} items: {looked_up:,} {N}-grams, {found:,} found, {with_any:,} items with any")


if __name__ == "__main__":
    main(*sys.argv[1:])
