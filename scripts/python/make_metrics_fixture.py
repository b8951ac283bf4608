"""Writes test/fixtures/evaluate/metrics.json: the results of other programs for pairs of texts.

    pip install sacrebleu==2.6.0 rouge-score==0.1.2 nltk==3.10.4
    pip download --no-deps transformers==4.46.3 && unzip transformers-4.46.3-*.whl -d /tmp/transformers-4
    python3 scripts/python/make_metrics_fixture.py --transformers /tmp/transformers-4

BLEU: sacreBLEU. ROUGE and stems: rouge-score and NLTK's PorterStemmer. SQuAD's normalization, exact match and F1:
transformers' squad_metrics.py, which is SQuAD's evaluation script (version 5 of transformers no longer has it). CoQA:
the same, leaving one answer out, as in CoQA's evaluation script. Natural Questions (open): the same after Unicode
NFD, as in google-research/language's orqa/utils/eval_utils.py.

The texts: sentences of test/fixtures/text/looking-glass.txt, seeded changes of them, and strings made up here.
"""

import argparse
import gzip
import importlib.util
import json
import random
import re
import sys
import types
import unicodedata
from pathlib import Path

import sacrebleu
from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer, tokenize
from sacrebleu.metrics import BLEU

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "test" / "fixtures"

MADE_UP = [
    "It cost $1,234.56 -- 12% more than in 1998-99, \"they\" said.",
    "It cost $1,234.56, 12 % more than in 1998 – 99, they said.",
    "Le prix (1 234,56 €) n'a pas changé : « rien », dit-il.",
    "Le prix (1 234,56 €) n’a pas été changé: \"rien\", dit-il!",
    "A&amp;B &lt;tag&gt; &quot;x&quot; <skipped>end-\nof line\nnext",
    "Wörter, Grüße; naïve café № 5 ½ × 3² ≠ 27… 東京。",
    "3.14, 2,5 a.b 7-8 9- -10 x-y ,,. ...",
    "   ",
    "",
    "the The THE",
    "U.S.A. and U.K., e.g. i.e. etc.",
    "one\u00a0two\u2003three\u0085four\u001cfive",
    "{curly} [square] (round) ~tilde~ `tick` ^hat^ under_score @at #hash",
]

ANSWERS = [
    ["the cat", "The Cat!"],
    ["a cat and a dog", "cat and dog", "two animals"],
    ["An apple a day", "apple day", "apples"],
    ["", "a"],
    ["the", "an", ""],
    ["14 December 1972 UTC", "December 1972"],
    ["José Martí", "Jose\u0301 Marti\u0301"],
    ["l'été à la mer", "ete"],
    ["it's five-o'clock", "its fiveoclock"],
    ["café", "cafe\u0301", "the café"],
    ["naïve théorie", "théa the"],
    ["a_b the_c", "ab thec"],
    ["yes", "Yes.", "yes, he did", "he did"],
    ["no no no", "no", "no no"],
]


def sentences():
    text = (FIXTURES / "text" / "looking-glass.txt").read_text()
    words = " ".join(text.split())
    return [s for s in re.split(r"(?<=[.!?])\s+", words) if 5 <= len(s.split()) <= 40]


def changed(rng, text, others):
    """The sentence with words dropped, doubled, swapped or taken from another."""
    words = text.split()
    for _ in range(rng.randrange(1, 8)):
        i = rng.randrange(len(words))
        kind = rng.randrange(4)
        if kind == 0 and len(words) > 1:
            del words[i]
        elif kind == 1:
            words.insert(i, words[i])
        elif kind == 2:
            words[i] = rng.choice(rng.choice(others).split())
        else:
            j = rng.randrange(len(words))
            words[i], words[j] = words[j], words[i]
    return " ".join(words)


def bleu_cases(rng, pool):
    corpora = []
    for size, references in [(1, 1), (1, 1), (1, 1), (2, 1), (10, 1), (30, 1), (8, 2)]:
        wanted = [[rng.choice(pool) for _ in range(references)] for _ in range(size)]
        made = [changed(rng, refs[0], pool) for refs in wanted]
        corpora.append((made, wanted))
    corpora.append((MADE_UP, [[t] for t in MADE_UP[1:] + MADE_UP[:1]]))
    corpora.append((MADE_UP, [[t] for t in MADE_UP]))
    corpora.append((["nothing in common here"], [["entirely different words stand there"]]))
    corpora.append((["two words"], [["two words"]]))
    corpora.append(([""], [["something"]]))
    cases = []
    for made, wanted in corpora:
        scores = {}
        for tokenization in ["13a", "intl", "none"]:
            bleu = BLEU(tokenize=tokenization, force=True)
            result = bleu.corpus_score(made, [list(r) for r in zip(*wanted)])
            counts = [result.sys_len, result.ref_len, *result.counts, *result.totals]
            scores[tokenization] = {"score": result.score, "counts": counts, "signature": str(bleu.get_signature())}
        cases.append({"translations": made, "references": wanted, "scores": scores})
    return cases


def rouge_cases(rng, pool):
    pairs = [("\n".join(rng.choice(pool) for _ in range(rng.randrange(1, 4))),) * 2 for _ in range(12)]
    pairs = [("\n".join(changed(rng, line, pool) for line in a.split("\n")), b) for a, b in pairs]
    pairs += [("\n".join(rng.sample(pool, 3)), "\n".join(rng.sample(pool, 3))) for _ in range(6)]
    pairs += list(zip(MADE_UP, MADE_UP[1:]))
    pairs += [("a b a b c", "b a c a"), ("x y\nz x", "z\nx x y"), ("", "")]
    cases = []
    for text, reference in pairs:
        scores = {}
        for name, stem in [("plain", False), ("stemmed", True)]:
            scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=stem)
            result = scorer.score(reference, text)
            scores[name] = {kind: list(score) for kind, score in result.items()}
        cases.append({"text": text, "reference": reference, "scores": scores})
    return cases


SUFFIXES = (
    "s es ies ied ed ing eed y ly ational tional enci anci izer bli alli entli eli ousli ization ation ator alism "
    "iveness fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence er ic "
    "able ible ant ement ment ent sion tion ou ism ate iti ous ive ize e ll"
).split()


def stems(rng):
    """Words of a book, the same with other endings, and a few special ones."""
    book = gzip.open(FIXTURES / "tokenizer" / "wind-in-the-willows.txt.gz", "rt").read()
    words = sorted(set(tokenize.tokenize(book, None)))
    words = rng.sample(words, 1500)
    words += [rng.choice(words)[: rng.randrange(2, 8)] + rng.choice(SUFFIXES) for _ in range(1500)]
    words += ["skies", "sky", "dying", "innings", "proceed", "howe", "yyyyy", "sayyy", "ties", "died", "by", "agreed"]
    stemmer = PorterStemmer()
    return {word: stemmer.stem(word) for word in sorted(set(words))}


def squad_metrics(folder):
    """transformers 4's squad_metrics.py without the rest of transformers; it only needs a logger."""
    for name in ["transformers4", "transformers4.models", "transformers4.utils"]:
        sys.modules[name] = types.ModuleType(name)
    bert = types.ModuleType("transformers4.models.bert")
    bert.BasicTokenizer = None
    sys.modules[bert.__name__] = bert
    logging = types.SimpleNamespace(get_logger=lambda _: None)
    sys.modules["transformers4.utils"].logging = logging
    path = Path(folder) / "transformers" / "data" / "metrics" / "squad_metrics.py"
    spec = importlib.util.spec_from_file_location("transformers4.data.metrics.squad_metrics", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def leave_one_out(metric, answer, accepted):
    if len(accepted) == 1:
        return float(metric(accepted[0], answer))
    total = 0.0
    for i in range(len(accepted)):
        others = accepted[:i] + accepted[i + 1 :]
        total += max(metric(a, answer) for a in others)
    return total / len(accepted)


def answer_cases(squad):
    answers = sorted({a for group in ANSWERS for a in group} | set(MADE_UP))
    nfd = lambda s: unicodedata.normalize("NFD", s)
    cases = []
    for answer in answers:
        for accepted in ANSWERS:
            cases.append(
                {
                    "answer": answer,
                    "accepted": accepted,
                    "exactMatch": max(squad.compute_exact(a, answer) for a in accepted),
                    "f1": max(squad.compute_f1(a, answer) for a in accepted),
                    "coqaExactMatch": leave_one_out(squad.compute_exact, answer, accepted),
                    "coqaF1": leave_one_out(squad.compute_f1, answer, accepted),
                    "openExactMatch": max(squad.compute_exact(nfd(a), nfd(answer)) for a in accepted),
                }
            )
    words = {a: squad.normalize_answer(a) for a in answers}
    # Most pairs have nothing in common; keep a few of those.
    telling = [c for c in cases if c["f1"] > 0] + [c for c in cases if c["f1"] == 0][::20]
    return {"normalized": words, "cases": telling}


parser = argparse.ArgumentParser()
parser.add_argument("--transformers", required=True, help="folder of an unpacked wheel of transformers 4")
squad = squad_metrics(parser.parse_args().transformers)
rng = random.Random(1)
pool = sentences()
fixture = {
    "made": {"sacrebleu": sacrebleu.__version__, "rouge-score": "0.1.2", "nltk": "3.10.4", "transformers": "4.46.3"},
    "bleu": bleu_cases(rng, pool),
    "rouge": rouge_cases(rng, pool),
    "stems": stems(rng),
    "answers": answer_cases(squad),
}
out = FIXTURES / "evaluate" / "metrics.json"
out.write_text(json.dumps(fixture, ensure_ascii=True, separators=(",", ":")) + "\n")
print(out, out.stat().st_size)
