"""TensorRT: what is made without a GPU, and that nothing ever computes on something else in its place."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from penstock.core import plugins
from penstock.core.errors import Invalid, MissingExtra, Unavailable
from penstock.optimise import methods
from penstock.registry import scan
from penstock.registry.model import Kind
from tests.optimise import recital

NAMES = ("tensorrt_rtx", "onnxruntime_ep_nv_tensorrt_rtx")
LIBRARIES = (*NAMES, "onnxscript")
INSTALLED = all(importlib.util.find_spec(name) is not None for name in LIBRARIES)
PROVIDER = "NvTensorRTRTXExecutionProvider"
EXPORTER = "penstock.optimise.exporters.tensorrt"
RUNNER = "penstock.optimise.engines.tensorrt_local"


def forget() -> None:
    """Have the next test import our two modules anew, with whatever NVIDIA's packages then are."""
    for name in (EXPORTER, RUNNER):
        sys.modules.pop(name, None)
        package, _, attribute = name.rpartition(".")
        vars(sys.modules.get(package, ModuleType(package))).pop(attribute, None)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The extra's packages as far as importing goes; everything else is real."""
    for name in LIBRARIES:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    nvidia: Any = sys.modules[NAMES[1]]
    nvidia.get_ep_name = lambda: PROVIDER
    nvidia.get_library_path = lambda: str(tmp_path / "libnone.so")
    forget()
    yield
    forget()


def test_the_context_is_checked() -> None:
    assert methods.parse("tensorrt").options == {"context": 512}
    assert methods.parse("tensorrt:1024").options == {"context": 1024}
    with pytest.raises(Invalid, match="at least 2 tokens"):
        methods.parse("tensorrt:1")


@pytest.mark.skipif(INSTALLED, reason="the extra is installed")
@pytest.mark.usefixtures("own_entry_points")
@pytest.mark.parametrize("group", ["exporters", "runners"])
def test_what_is_missing_is_named(group: str) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(MissingExtra) as caught:
        plugins.load(group, "tensorrt")
    assert "tensorrt" in caught.value.hint


@pytest.mark.usefixtures("fakes")
def test_another_provider_is_never_taken_for_tensorrt() -> None:
    pytest.importorskip("onnxruntime")
    from penstock.optimise.engines import tensorrt_local

    assert tensorrt_local.checked([PROVIDER, "CPUExecutionProvider"]) == PROVIDER
    for wrong in (["CPUExecutionProvider"], ["CPUExecutionProvider", PROVIDER], []):
        with pytest.raises(Unavailable, match="not on TensorRT"):
            tensorrt_local.checked(wrong)
    with pytest.raises(Unavailable, match="could not load its TensorRT provider"):
        tensorrt_local.devices()


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.usefixtures("fakes")
def test_the_wrapper_loads_nowhere_but_on_tensorrt(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from penstock.optimise.exporters import tensorrt

    tensorrt.write_wrapper(tmp_path, 416)
    (tmp_path / "model.engine").write_bytes(b"engine")
    with pytest.raises(Exception, match="EPContext"):
        onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    scan.check_folder(tmp_path, Kind.TENSORRT)
    with pytest.raises(Invalid, match="context must be 2 to 256"):
        tensorrt.run(
            {"source": str(recital.folder()), "output": str(tmp_path / "x"), "context": 999}, lambda _: None
        )


@pytest.mark.skipif(not INSTALLED, reason="the extra tensorrt is not installed")
@pytest.mark.heavy
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_an_engine_is_built_without_a_gpu_and_its_graph_computes_what_the_model_does(tmp_path: Path) -> None:
    import numpy as np
    import onnxruntime
    import torch
    from transformers import AutoModelForCausalLM

    from penstock.optimise.engines import tensorrt_local
    from penstock.optimise.exporters import tensorrt

    source, output = recital.folder(), tmp_path / "engine"
    said = tensorrt.run({"source": str(source), "output": str(output), "context": 64}, lambda _: None)
    assert (output / "model.engine").stat().st_size > 100_000
    assert said["context"] == 64
    scan.check_folder(output, Kind.TENSORRT)
    graph = onnxruntime.InferenceSession(
        tmp_path / "engine-graph" / "model.onnx", providers=["CPUExecutionProvider"]
    )
    ids = np.arange(13, dtype=np.int64)[None]
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    with torch.no_grad():
        wanted = model(torch.from_numpy(ids)).logits.numpy()
    assert np.abs(graph.run(None, {"input_ids": ids})[0] - wanted).max() < 1e-3
    try:
        tensorrt_local.devices()
    except Unavailable:
        return  # no GPU: the engine cannot be asked here
    runner = tensorrt_local.TensorRtRunner(output, 1)
    assert runner.provider == PROVIDER
    prompt = [int(token) for token in ids[0]]
    assert next(iter(runner.stream(prompt, 1, endless=True))) == int(wanted[0, -1].argmax())
