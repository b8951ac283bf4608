"""Makes the peers' models of bench/encode.ts: make_encoder_onnx.py FOLDER OUT

A Hugging Face folder of a BERT as OUT/onnx/model.onnx, its operators fused by onnxruntime's own optimizer, and
model_quantized.onnx, 8-bit weights by channel with activations quantized on the fly, as onnxruntime recommends for
processors with VNNI.
"""

import shutil
import sys
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from transformers import BertModel


class Hidden(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    model = BertModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager").eval().float()
    (out / "onnx").mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        if (folder / name).exists():
            shutil.copy(folder / name, out / name)
    ids = torch.ones(2, 8, dtype=torch.long)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {name: {0: "batch", 1: "tokens"} for name in [*names, "last_hidden_state"]}
    plain, fused, small = (out / "onnx" / f for f in ("plain.onnx", "model.onnx", "model_quantized.onnx"))
    with torch.no_grad():
        torch.onnx.export(
            Hidden(model), (ids, ids, torch.zeros_like(ids)), plain,
            input_names=names, output_names=["last_hidden_state"], dynamic_axes=axes, opset_version=17, dynamo=False,
        )
    config = model.config
    optimized = optimizer.optimize_model(
        str(plain), model_type="bert", num_heads=config.num_attention_heads, hidden_size=config.hidden_size, opt_level=0
    )
    print(optimized.get_fused_operator_statistics())
    optimized.save_model_to_file(str(fused))
    default = {"DefaultTensorType": onnx.TensorProto.FLOAT}
    quantize_dynamic(str(fused), str(small), per_channel=True, weight_type=QuantType.QInt8, extra_options=default)
    plain.unlink()
    onnx.checker.check_model(str(fused), full_check=False)


if __name__ == "__main__":
    main()
