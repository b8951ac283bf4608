"""Writes test/fixtures/tensorflow/bert: test/fixtures/bert/pretraining in the form saved by Google's code, written by
TensorFlow itself.

    pip install tensorflow-cpu safetensors && python3 scripts/python/make_bert_tensorflow_fixture.py

Variables have the names of github.com/google-research/bert (modeling.py, run_pretraining.py): kernels are [in, out],
the head for next sentences [2, C]. Beside them are the optimizer's variables for one of them, and a global step.
"""

import json
import os
import re
import shutil
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from safetensors.numpy import load_file

FIXTURES = Path(__file__).parents[2] / "test" / "fixtures"
FROM = FIXTURES / "bert" / "pretraining"
TO = FIXTURES / "tensorflow" / "bert"
FIELDS = [
    "attention_probs_dropout_prob",
    "hidden_act",
    "hidden_dropout_prob",
    "hidden_size",
    "initializer_range",
    "intermediate_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "type_vocab_size",
    "vocab_size",
]
HEADS = {
    "cls.predictions.bias": "cls/predictions/output_bias",
    "cls.seq_relationship.weight": "cls/seq_relationship/output_weights",
    "cls.seq_relationship.bias": "cls/seq_relationship/output_bias",
}


def variable(name: str, values: np.ndarray) -> tuple[str, np.ndarray]:
    if name in HEADS:
        return HEADS[name], values
    path = re.sub(r"layer\.(\d+)", r"layer_\1", name)
    if path.endswith("_embeddings.weight"):
        return path.removesuffix(".weight").replace(".", "/"), values
    if "LayerNorm" in path:
        path = path.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        return path.replace(".", "/"), values
    if path.endswith(".weight"):
        return path.removesuffix("weight").replace(".", "/") + "kernel", np.ascontiguousarray(values.T)
    return path.replace(".", "/"), values


def main() -> None:
    shutil.rmtree(TO, ignore_errors=True)
    TO.mkdir(parents=True)
    given = load_file(FROM / "model.safetensors")
    # The head shares the word embeddings.
    given = {n: v for n, v in given.items() if not n.startswith("cls.predictions.decoder")}
    values = dict(variable(name, array) for name, array in given.items())
    pooler = values["bert/pooler/dense/kernel"]
    values["bert/pooler/dense/kernel/adam_m"] = np.full_like(pooler, 1e-3)
    values["bert/pooler/dense/kernel/adam_v"] = np.full_like(pooler, 1e-6)
    values["global_step"] = np.int64(20)
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        for name, array in values.items():
            v1.get_variable(name, initializer=array)
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(TO / "bert_model.ckpt"), write_meta_graph=False)
    config = json.loads((FROM / "config.json").read_text())
    (TO / "bert_config.json").write_text(json.dumps({f: config[f] for f in FIELDS}, indent=2) + "\n")
    vocabulary = json.loads((FROM / "tokenizer.json").read_text())["model"]["vocab"]
    (TO / "vocab.txt").write_text("".join(f"{token}\n" for token in sorted(vocabulary, key=vocabulary.get)))
    state = 'model_checkpoint_path: "bert_model.ckpt"\nall_model_checkpoint_paths: "bert_model.ckpt"\n'
    (TO / "checkpoint").write_text(state)
    for path in sorted(TO.iterdir()):
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
