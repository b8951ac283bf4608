"""Writes test/fixtures/bert: small random BERTs of Hugging Face transformers, and transformers' results for them.

    pip install torch transformers safetensors minicons
    OMP_NUM_THREADS=1 python3 scripts/python/make_bert_fixture.py

A folder for each class, as transformers saves it; `old` is a pickle with the tensor names of files converted from
TensorFlow. Numbers are computed in float64 without dropout and rounded to float32. expected.json has texts and the
results of transformers' pipelines; pseudo-log-likelihoods are minicons'. values.safetensors has the tensors: hidden
states, the outputs of heads, gradients of the losses, and the losses of ten steps of AdamW. transformers 5 has no
question-answering pipeline: the rules of transformers 4 are written out here.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    BertTokenizer,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    pipeline,
)

FOLDER = Path(__file__).parents[2] / "test" / "fixtures" / "bert"
WORDS = "the cat dog sat on mat of is was in paris france capital what where".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = [
    *["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "?", "!", "'", "-"],
    *LETTERS,
    *[f"##{letter}" for letter in LETTERS],
    *WORDS,
    "##ing",
]
SIZES = {
    "vocab_size": len(VOCABULARY) + 2,  # padded, like the vocabularies of some models
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 24,
}
PAIRS = [("the cat sat", "on the mat."), ("paris is the capital", "of france, is it not?"), ("a dog", "was in")]
LABELS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}
TEXT = "Paris was sitting on a mat, in France."
QUESTION = "what is the capital?"
CONTEXT = "A cat sat on the mats of France. Paris is the capital, is it not? A dog was sitting in a bag."
STEPS = 10


def config(**options) -> BertConfig:
    return BertConfig(**SIZES, **options)


def spread(model, seed: int):
    """Sets weights large enough for distinct probabilities, and biases other than zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            scale = 0.1 if name.endswith("bias") or "LayerNorm" in name else 0.4
            parameter.copy_(scale * noise + ("LayerNorm.weight" in name))
    return model.eval()


def save(model, name: str, tokenizer) -> None:
    model.save_pretrained(FOLDER / name)
    if tokenizer is not None:
        tokenizer.save_pretrained(FOLDER / name)
    for unused in ("generation_config.json",):
        (FOLDER / name / unused).unlink(missing_ok=True)


def gradients(model, values: dict, name: str) -> None:
    # Files have one name for the decoder's bias, although two modules hold it.
    for key, parameter in model.named_parameters():
        if parameter.grad is not None:
            values[f"{name}.grad.{key}"] = parameter.grad.clone()
    model.zero_grad()


def batch_of(tokenizer, pairs):
    return tokenizer([a for a, _ in pairs], [b for _, b in pairs], padding=True, return_tensors="pt")


def pretraining(tokenizer, values: dict, expected: dict) -> None:
    model = spread(BertForPreTraining(config()), 1)
    save(model, "pretraining", tokenizer)
    model = model.double()
    batch = batch_of(tokenizer, PAIRS)
    labels = torch.full_like(batch["input_ids"], -100)
    next_labels = torch.tensor([0, 1, 0])
    for row, column, token in [(0, 2, 50), (0, 5, 9), (1, 1, 70), (1, 3, 66), (2, 2, 12)]:
        labels[row, column] = token
        batch["input_ids"][row, column] = tokenizer.mask_token_id

    def losses():
        output = model(**batch, labels=labels, next_sentence_label=next_labels, output_hidden_states=True)
        return output, output.loss

    output, loss = losses()
    values["pretraining.hidden"] = output.hidden_states[-1]
    values["pretraining.pooled"] = model.bert.pooler(output.hidden_states[-1])
    values["pretraining.masked"] = output.prediction_logits
    values["pretraining.next"] = output.seq_relationship_logits
    model.set_attn_implementation("eager")
    values["pretraining.attention"] = model(**batch, output_attentions=True).attentions[1]
    model.set_attn_implementation("sdpa")
    loss.backward()
    gradients(model, values, "pretraining")
    expected["pretraining"] = {
        "ids": batch["input_ids"].tolist(),
        "types": batch["token_type_ids"].tolist(),
        "lengths": batch["attention_mask"].sum(-1).tolist(),
        "labels": labels.tolist(),
        "next": next_labels.tolist(),
        "loss": loss.item(),
    }
    decayed = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim != 2]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.999), eps=1e-8)
    trained = []
    for _ in range(STEPS):
        model.zero_grad()
        _, loss = losses()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        trained.append(loss.item())
    expected["pretraining"]["losses"] = trained


def old_names() -> None:
    """Tensors in the form in which Google's models were converted in 2018: TensorFlow's names, `bert.`, tied weights twice, a buffer of positions."""
    folder = FOLDER / "old"
    folder.mkdir(parents=True, exist_ok=True)
    model = BertForPreTraining.from_pretrained(FOLDER / "pretraining")
    state = {}
    for name, tensor in model.state_dict().items():
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        state[name] = tensor
    state["bert.embeddings.position_ids"] = torch.arange(SIZES["max_position_embeddings"])[None]
    torch.save(state, folder / "pytorch_model.bin")
    old = {"attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "initializer_range": 0.02}
    old |= {"type_vocab_size": 2, "model_type": "bert", **SIZES}
    (folder / "config.json").write_text(json.dumps(old, indent=1) + "\n")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")


def plain(results):
    """numpy's numbers as Python's."""
    return json.loads(json.dumps(results, default=float))


def masks(tokenizer, expected: dict) -> None:
    model = spread(BertForMaskedLM(config()), 2)
    save(model, "masked", tokenizer)
    fill = pipeline("fill-mask", model=model.double(), tokenizer=tokenizer)
    one, two = "the [MASK] sat on the mats.", "the [MASK] sat on [MASK]."
    targets = ["cat", "dog", "a"]
    expected["masks"] = {
        "one": {"text": one, "filled": plain(fill(one))},
        "targets": {"text": one, "targets": targets, "filled": plain(fill(one, targets=targets))},
        "two": {"text": two, "filled": plain(fill(two, top_k=3))},
    }


def distilled(tokenizer, expected: dict) -> None:
    sizes = {"dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 12}
    common = {key: SIZES[key] for key in ("vocab_size", "max_position_embeddings")}
    model = spread(DistilBertForMaskedLM(DistilBertConfig(**sizes, **common)), 7)
    save(model, "distilled", tokenizer)
    fill = pipeline("fill-mask", model=model.double(), tokenizer=tokenizer)
    labelled = spread(DistilBertForSequenceClassification(DistilBertConfig(**sizes, **common, num_labels=3)), 8)
    save(labelled, "distilled-sequence", tokenizer)
    classify = pipeline("text-classification", model=labelled.double(), tokenizer=tokenizer, top_k=None)
    text = "the [MASK] sat on the mats."
    expected["distilled"] = {"text": text, "filled": plain(fill(text)), "labels": plain(classify([TEXT])[0])}


def likelihoods(expected: dict) -> None:
    """Pseudo-log-likelihoods of the model in `masked`, computed by minicons as sums over tokens."""
    from minicons.scorer import MaskedLMScorer

    scorer = MaskedLMScorer(str(FOLDER / "masked"), "cpu")
    # minicons 0.3 calls this method, which transformers 5 lacks.
    type(scorer.tokenizer).batch_encode_plus = type(scorer.tokenizer).__call__
    texts = ["the cat is sitting on a bag.", "paris is not the capital", "dogs was"]
    metrics = {"original": "original", "word-l2r": "within_word_l2r"}
    expected["likelihoods"] = {"texts": texts} | {
        name: scorer.sequence_score(texts, reduction=lambda x: x.sum(0).item(), PLL_metric=metric)
        for name, metric in metrics.items()
    }


def sequences(tokenizer, values: dict, expected: dict) -> None:
    labels = {0: "bad", 1: "middling", 2: "good"}
    model = spread(BertForSequenceClassification(config(id2label=labels, label2id={v: k for k, v in labels.items()})), 3)
    save(model, "sequence", tokenizer)
    model = model.double()
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
    pair = {"text": PAIRS[1][0], "text_pair": PAIRS[1][1]}
    expected["sequence"] = {
        "text": TEXT,
        "labels": plain(classify([TEXT])[0]),
        "pair": [pair["text"], pair["text_pair"]],
        "pairLabels": plain(classify(pair)),
        "targets": [2, 0, 1],
    }
    batch = batch_of(tokenizer, PAIRS)
    output = model(**batch, labels=torch.tensor(expected["sequence"]["targets"]))
    values["sequence.logits"] = output.logits
    expected["sequence"]["loss"] = output.loss.item()
    output.loss.backward()
    gradients(model, values, "sequence")


def token_labels(tokenizer, values: dict, expected: dict) -> None:
    options = {"id2label": LABELS, "label2id": {v: k for k, v in LABELS.items()}}
    model = spread(BertForTokenClassification(config(**options)), 14)
    save(model, "tokens", tokenizer)
    model = model.double()
    by_strategy = {}
    for strategy in ["none", "simple", "first", "average", "max"]:
        label = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy=strategy)
        by_strategy[strategy] = plain(label(TEXT))
    batch = batch_of(tokenizer, PAIRS)
    targets = torch.where(batch["attention_mask"] == 1, batch["input_ids"] % 5, -100)
    targets[:, 0] = -100
    output = model(**batch, labels=targets)
    values["tokens.logits"] = output.logits
    output.loss.backward()
    gradients(model, values, "tokens")
    expected["tokens"] = {
        "text": TEXT,
        "labelled": by_strategy,
        "targets": targets.tolist(),
        "loss": output.loss.item(),
    }


def answers(model, tokenizer, top_k: int, max_answer: int, max_length: int, stride: int, none: bool) -> list:
    """transformers 4's QuestionAnsweringPipeline, with align_to_words."""
    windows = tokenizer(
        QUESTION,
        CONTEXT,
        truncation="only_second",
        max_length=max_length,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    found, null = [], 1.0
    for i in range(len(windows["input_ids"])):
        ids = {k: torch.tensor([windows[k][i]]) for k in ("input_ids", "token_type_ids", "attention_mask")}
        with torch.no_grad():
            output = model(**ids)
        encoding = windows.encodings[i]
        allowed = np.array([s == 1 for s in encoding.sequence_ids])
        allowed[0] = True
        start, end = (
            torch.softmax(torch.tensor(np.where(allowed, logits[0].numpy(), -10000.0)), -1).numpy()
            for logits in (output.start_logits, output.end_logits)
        )
        if none:
            null = min(null, start[0] * end[0])
        start[0] = end[0] = 0.0
        outer = np.tril(np.triu(start[:, None] * end[None, :]), max_answer - 1)
        inside = np.array([s == 1 for s in encoding.sequence_ids])
        outer[~inside] = 0
        outer[:, ~inside] = 0
        for flat in np.argsort(-outer, axis=None, kind="stable")[:top_k]:
            s, e = np.unravel_index(flat, outer.shape)
            first, last = encoding.word_to_chars(encoding.word_ids[s], 1), encoding.word_to_chars(encoding.word_ids[e], 1)
            found.append({"score": float(outer[s, e]), "start": first[0], "end": last[1], "answer": CONTEXT[first[0] : last[1]]})
    if none:
        found.append({"score": float(null), "start": 0, "end": 0, "answer": ""})
    return sorted(found, key=lambda answer: -answer["score"])[:top_k]


def spans(tokenizer, values: dict, expected: dict) -> None:
    model = spread(BertForQuestionAnswering(config()), 5)
    save(model, "spans", tokenizer)
    model = model.double()
    settings = [
        {"top_k": 3, "max_answer": 15, "max_length": 24, "stride": 6, "none": False},
        {"top_k": 5, "max_answer": 2, "max_length": 20, "stride": 4, "none": True},
    ]
    batch = batch_of(tokenizer, PAIRS)
    starts, ends = torch.tensor([5, 6, 0]), torch.tensor([6, 8, 0])
    output = model(**batch)
    values["spans.start"], values["spans.end"] = output.start_logits, output.end_logits
    # transformers' loss, except at padding, where transformers makes texts of a batch compete.
    padding = batch["attention_mask"] == 0
    logits = [part.masked_fill(padding, float("-inf")) for part in (output.start_logits, output.end_logits)]
    loss = sum(torch.nn.functional.cross_entropy(part, ends_) for part, ends_ in zip(logits, (starts, ends))) / 2
    loss.backward()
    gradients(model, values, "spans")
    expected["spans"] = {
        "question": QUESTION,
        "context": CONTEXT,
        "answers": [{**s, "answers": answers(model, tokenizer, **s)} for s in settings],
        "starts": starts.tolist(),
        "ends": ends.tolist(),
        "loss": loss.item(),
    }


def sentences(tokenizer, values: dict) -> None:
    """A folder in sentence-transformers' layout; its vectors follow the definition: the masked mean, of length 1."""
    folder = FOLDER / "sentence"
    model = spread(BertModel(config(), add_pooling_layer=True), 6)
    save(model, "sentence", tokenizer)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules, indent=1) + "\n")
    (folder / "1_Pooling").mkdir(exist_ok=True)
    pooling = {"word_embedding_dimension": SIZES["hidden_size"], "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling, indent=1) + "\n")
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 12, "do_lower_case": False}) + "\n")
    texts = [a for a, _ in PAIRS] + [TEXT]
    batch = tokenizer(texts, padding=True, truncation=True, max_length=12, return_tensors="pt")
    hidden = model.double()(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None].double()
    values["sentence.vectors"] = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for folder in FOLDER.iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)
    vocabulary = FOLDER / "vocab.txt"
    vocabulary.write_text("\n".join(VOCABULARY) + "\n")
    tokenizer = BertTokenizer(vocab={token: i for i, token in enumerate(VOCABULARY)}, do_lower_case=True)
    vocabulary.unlink()
    values, expected = {}, {}
    pretraining(tokenizer, values, expected)
    old_names()
    masks(tokenizer, expected)
    likelihoods(expected)
    distilled(tokenizer, expected)
    sequences(tokenizer, values, expected)
    token_labels(tokenizer, values, expected)
    spans(tokenizer, values, expected)
    sentences(tokenizer, values)
    expected["pairs"] = PAIRS
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")
    save_file({k: v.detach().float().contiguous() for k, v in values.items()}, FOLDER / "values.safetensors")
    size = sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file())
    print(FOLDER, size, "bytes")


if __name__ == "__main__":
    main()
