"""vLLM's modules on watermarking, loaded from its wheel, with stand-ins for their imports from the rest of vLLM."""

import sys
import types
import zipfile
from unittest.mock import MagicMock

PREFIX = "vllm/v1/watermarking/"


def load_vllm(wheel: str) -> types.SimpleNamespace:
    """Loads modules of the wheel under their own names, with stand-ins for their imports from the rest of vLLM."""
    archive = zipfile.ZipFile(wheel)

    def module(name: str, **names) -> types.ModuleType:
        made = types.ModuleType(name)
        made.__path__ = []
        made.__dict__.update(names)
        sys.modules[name] = made
        return made

    def run(path: str) -> types.ModuleType:
        made = module(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        exec(compile(archive.read(path), path, "exec"), made.__dict__)
        return made

    for name in ("vllm", "vllm.v1", "vllm.v1.watermarking", "vllm.config", "vllm.v1.worker", "vllm.v1.worker.gpu"):
        module(name)
    module("vllm.v1.worker.gpu.sample")
    module("vllm.config.utils", config=lambda made: made)
    module("vllm.logger", init_logger=lambda name: MagicMock())
    module("vllm.triton_utils", HAS_TRITON=False, tl=MagicMock(), triton=MagicMock())
    module("vllm.v1.worker.gpu.sample.gumbel", gumbel_sample=None, gumbel_noised_argmax=None, spec_step_seed=None)
    config = run("vllm/config/watermarking.py")
    run(PREFIX + "prfs/base.py")
    philox = run(PREFIX + "prfs/philox.py")
    run(PREFIX + "prfs/__init__.py")
    run(PREFIX + "detector.py")
    run(PREFIX + "watermarker.py")
    gumbel = run(PREFIX + "gumbel.py")
    masks = run("vllm/v1/worker/gpu/sample/watermark.py")
    return types.SimpleNamespace(config=config, philox=philox, gumbel=gumbel, masks=masks)
