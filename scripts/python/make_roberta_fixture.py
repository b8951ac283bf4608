"""Writes test/fixtures/roberta: small random RoBERTas of Hugging Face transformers, and transformers' results for them.

    pip install torch transformers safetensors tokenizers
    OMP_NUM_THREADS=1 python3 scripts/python/make_roberta_fixture.py

A folder for each class, with one tokenizer beside the first; `pickled` is the first in a pickle. expected.json has
the results of transformers' pipelines, the tokenizer's offsets, and the means of hidden states. Numbers are computed
in float64.
"""

import json
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
    pipeline,
)
from tokenizers import AddedToken

FOLDER = Path(__file__).parents[2] / "test" / "fixtures" / "roberta"
TEXTS = ["The cat sat on the mat. The dog sat in Paris, the capital of France. Zoë naïvely ate 2 cafés’ cakes 😀 in Zürich!"] * 3
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
LABELS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}
README = "Small random RoBERTas of Hugging Face transformers and what its pipelines make of them, by scripts/python/make_roberta_fixture.py, which says how.\n"
TEXT = "Zoë sat on the mats in Zürich 😀, naïvely."


def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE with RoBERTa's special tokens and template."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False))
    bpe.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    mask = AddedToken("<mask>", lstrip=True, special=True)
    names = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=bpe, mask_token=mask, **names)


def config(words: int, **options) -> RobertaConfig:
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
    return RobertaConfig(vocab_size=words, max_position_embeddings=66, type_vocab_size=1, layer_norm_eps=1e-5, **sizes, **options)


def spread(model, seed: int):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            scale = 0.1 if name.endswith("bias") or "LayerNorm" in name or "layer_norm" in name else 0.4
            parameter.copy_(scale * noise + ("LayerNorm.weight" in name or "layer_norm.weight" in name))
    return model.eval()


def save(model, name: str):
    model.save_pretrained(FOLDER / name)
    (FOLDER / name / "generation_config.json").unlink(missing_ok=True)
    return model.double()


def plain(results):
    return json.loads(json.dumps(results, default=float))


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    tok = tokenizer()
    size = len(tok) + 1
    expected = {"text": TEXT}
    masked = save(spread(RobertaForMaskedLM(config(size)), 1), "masked")
    tok.save_pretrained(FOLDER / "masked")
    saved = FOLDER / "masked" / "tokenizer.json"
    saved.write_text(json.dumps(json.loads(saved.read_text()), ensure_ascii=False, separators=(",", ":")) + "\n")
    fill = pipeline("fill-mask", model=masked, tokenizer=tok)
    text = "The <mask> sat on the mat."
    expected["masks"] = {"text": text, "filled": plain(fill(text)), "two": plain(fill("The <mask> sat in <mask>.", top_k=2))}
    pair = ["The cat sat.", "Zoë ate cakes."]
    expected["encodings"] = []
    for texts in [[TEXT], pair, [" \u2003two  spaces", "of 😀😀\nlines "], [text]]:
        encoding = tok(*texts, return_offsets_mapping=True)
        expected["encodings"].append({"texts": texts, "ids": encoding["input_ids"], "offsets": encoding["offset_mapping"]})
    names = {0: "bad", 1: "middling", 2: "good"}
    labelled = save(spread(RobertaForSequenceClassification(config(size, id2label=names)), 2), "sequence")
    classify = pipeline("text-classification", model=labelled, tokenizer=tok, top_k=None)
    expected["sequence"] = {"labels": plain(classify([TEXT])[0]), "pair": pair, "pairLabels": plain(classify({"text": pair[0], "text_pair": pair[1]}))}
    tagged = save(spread(RobertaForTokenClassification(config(size, id2label=LABELS)), 4), "tokens")
    strategies = ["none", "simple", "first", "average", "max"]
    expected["tokens"] = {
        s: plain(pipeline("token-classification", model=tagged, tokenizer=tok, aggregation_strategy=s)(TEXT)) for s in strategies
    }
    spans = save(spread(RobertaForQuestionAnswering(config(size)), 5), "spans")
    batch = tok(*pair, return_tensors="pt")
    output = spans(**batch)
    expected["spans"] = {"start": output.start_logits[0].tolist(), "end": output.end_logits[0].tolist()}
    encoder = save(spread(RobertaModel(config(size), add_pooling_layer=False), 6), "model")
    hidden = encoder(**tok([TEXT], return_tensors="pt")).last_hidden_state
    expected["vector"] = torch.nn.functional.normalize(hidden.mean(1), dim=-1)[0].tolist()
    (FOLDER / "pickled").mkdir()
    torch.save(masked.float().state_dict(), FOLDER / "pickled" / "pytorch_model.bin")
    shutil.copy(FOLDER / "masked" / "config.json", FOLDER / "pickled" / "config.json")
    (FOLDER / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n")
    (FOLDER / "README.md").write_text(README)
    print(FOLDER, sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()), "bytes")


if __name__ == "__main__":
    main()
