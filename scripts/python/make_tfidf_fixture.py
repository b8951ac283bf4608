"""The paper-time detector by scikit-learn, for test/misuse/classifier.test.ts: test/fixtures/detect/tfidf.json.

    pip install scikit-learn
    python3 scripts/python/make_tfidf_fixture.py

The baseline released with GPT-2's outputs: TF-IDF of words and pairs, logistic regression by liblinear, the penalty
chosen on validation texts, no refit. The solver runs to a tight tolerance, so that its result is the minimum.
"""

import json
import random
from pathlib import Path

import numpy as np
import sklearn
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

OUT = Path(__file__).parents[2] / "test" / "fixtures" / "detect" / "tfidf.json"
WORDS = "the of and a to in he was that it his her I don't naïve ÉCOLE straße 42 a_b x y2 Ωmega 中文 said went old new".split(" ")
CS = [2.0**k for k in range(-6, 7)]


def texts(rng, favourites, count):
    for _ in range(count):
        words = [rng.choice(favourites if rng.random() < 0.12 else WORDS) for _ in range(rng.randrange(4, 30))]
        yield rng.choice([" ", ", ", "\n"]).join(words)


rng = random.Random(20190214)
human, machine = ["said", "old", "naïve", "x"], ["the", "was", "new", "42"]
train = [*texts(rng, human, 40), *texts(rng, machine, 40)]
valid = [*texts(rng, human, 10), *texts(rng, machine, 10)]
labels = np.array([0] * 40 + [1] * 40)
valid_labels = np.array([0] * 10 + [1] * 10)

vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=3)
features, held_out = vectorizer.fit_transform(train), vectorizer.transform(valid)
odds, accuracies = {}, []
for C in CS:
    model = LogisticRegression(C=C, solver="liblinear", tol=1e-12, max_iter=100_000).fit(features, labels)
    accuracies.append(model.score(held_out, valid_labels))
    odds[C] = model.decision_function(held_out).tolist()
rows = sparse.csr_matrix(held_out).sorted_indices()
result = {
    "madeBy": "scripts/python/make_tfidf_fixture.py",
    "sklearn": sklearn.__version__,
    "train": train,
    "valid": valid,
    "terms": vectorizer.get_feature_names_out().tolist(),
    "idf": vectorizer.idf_.tolist(),
    "row": {"indices": rows[0].indices.tolist(), "values": rows[0].data.tolist()},
    "odds": [[C, odds[C]] for C in (CS[0], CS[6], CS[12])],
    "accuracies": accuracies,
    "best": CS[int(np.argmax(accuracies))],
}
OUT.write_text(json.dumps(result, ensure_ascii=False, separators=(",", ":")) + "\n")
print(OUT, OUT.stat().st_size, "bytes; accuracies", accuracies)
