"""One model through Transformers, ONNX, CTranslate2 and llama.cpp: the same answers, and figures of each."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import system_actor
from penstock.evals.child_target import ChildTarget
from penstock.evals.model import Sample
from penstock.evals.ports import TargetContext
from penstock.registry import scan
from penstock.registry.exporters import gguf
from penstock.registry.model import Kind
from tests.optimise import recital

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning",
        "ignore::UserWarning",
        "ignore:.*is_gradient_checkpointing:FutureWarning",
    ),
]
pytest.importorskip("onnxruntime_genai")
pytest.importorskip("ctranslate2")
PROMPTS = [prompt for prompt, _ in recital.TALKS] + ["invoice Lumen", "refund order 4711", "Hello", "42 ?"]


def silent(_report: dict[str, Any]) -> None:
    """Take a report and do nothing with it."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same model in every format, nothing quantised."""
    from penstock.optimise.exporters import ctranslate2, onnx

    made, source = tmp_path_factory.mktemp("formats"), str(recital.folder())
    onnx.run({"source": source, "output": str(made / "onnx"), "precision": "fp32"}, silent)
    ctranslate2.run(
        {"source": source, "output": str(made / "ctranslate2"), "quantization": "float32"}, silent
    )
    gguf.run({"source": source, "output": str(made / "gguf"), "quantization": "f32", "name": "m"}, silent)
    return {name: made / name for name in ("onnx", "ctranslate2", "gguf")} | {"transformers": Path(source)}


def runner(name: str) -> Any:
    from penstock.optimise.engines import ctranslate2_local, gguf_local, onnx_local, transformers_local

    modules = (ctranslate2_local, gguf_local, onnx_local, transformers_local)
    return {module.__name__.rpartition(".")[2].removesuffix("_local"): module for module in modules}[name]


def answers(name: str, folder: Path, home: Home, work: Path) -> list[str]:
    """Return what a format answers to the prompts."""
    if name in ("transformers", "gguf"):
        context = TargetContext(home=home, actor=system_actor(), workdir=work / name)
        samples = [
            Sample(id=f"{i:02}", ordinal=i, messages=({"role": "user", "content": prompt},))
            for i, prompt in enumerate(PROMPTS)
        ]
        target = ChildTarget(name, {"folder": str(folder), "max_tokens": 24}, context)
        found = [output for batch in target.generate(samples) for output in batch]
        assert not [output.error for output in found if output.error]
        return [output.text for output in sorted(found, key=lambda output: output.sample_id)]
    asked = work / "samples.jsonl"
    talks = [{"id": str(i), "messages": [{"role": "user", "content": p}]} for i, p in enumerate(PROMPTS)]
    asked.write_text("\n".join(json.dumps(talk) for talk in talks))
    said: list[dict[str, Any]] = []
    spec = {"folder": str(folder), "samples": str(asked), "max_tokens": 24}
    runner(name).run(spec, said.append)
    return [report["outputs"][0]["text"] for report in said]


def test_every_format_answers_exactly_the_same(
    folders: dict[str, Path], sqlite_home: Home, tmp_path: Path
) -> None:
    found = {name: answers(name, folder, sqlite_home, tmp_path) for name, folder in folders.items()}
    right = [answer for _, answer in recital.TALKS]
    assert found["transformers"][: len(right)] == right, "it answers something that means something"
    assert found["onnx"] == found["transformers"]
    assert found["ctranslate2"] == found["transformers"]
    assert [text.strip() for text in found["gguf"]] == [text.strip() for text in found["transformers"]]


@pytest.mark.parametrize("name", ["onnx", "ctranslate2", "transformers"])
def test_figures_are_measured(folders: dict[str, Path], name: str) -> None:
    began = time.monotonic()
    spec = {"folder": str(folders[name]), "threads": 1, "tokens": 16, "repeats": 2, "asked_at": began}
    figures = runner(name).run(spec, lambda report: None)
    ended = time.monotonic()
    assert (figures["prompts"], figures["tokens"]) == (6, 96)
    assert 0 < figures["load_s"] < figures["start_s"] < ended - began
    assert 0 < figures["first_token_s"] < ended - began
    assert 90 / figures["tokens_per_s"] < ended - began
    assert figures["memory_bytes"] > 20_000_000
    assert figures["provider"].lower().startswith("cpu")


def test_exported_folders_may_be_registered_and_pickles_in_them_may_not(folders: dict[str, Path]) -> None:
    for kind in (Kind.ONNX, Kind.CTRANSLATE2):
        scan.check_folder(folders[str(kind)], kind)
        assert (folders[str(kind)] / "tokenizer.json").exists()
        assert json.loads((folders[str(kind)] / "generation_config.json").read_text())["eos_token_id"] == 2
    with pytest.raises(Invalid, match="pickle"):
        scan.check_folder(folders["ctranslate2"], Kind.BASE)


def test_too_long_a_prompt_and_unknown_options_are_named(folders: dict[str, Path], tmp_path: Path) -> None:
    asked = tmp_path / "samples.jsonl"
    asked.write_text(json.dumps({"id": "1", "messages": [{"role": "user", "content": "x " * 400}]}))
    spec = {"folder": str(folders["onnx"]), "samples": str(asked)}
    with pytest.raises(Invalid, match="the model takes 256"):
        runner("onnx").run(spec, lambda report: None)
    with pytest.raises(Invalid, match="no option 'beams'"):
        runner("onnx").run({**spec, "beams": 3}, lambda report: None)
    with pytest.raises(Invalid, match=r"no tokenizer\.json"):
        runner("ctranslate2").run({**spec, "folder": str(tmp_path)}, lambda report: None)
    with pytest.raises(Invalid, match="GGUF files"):
        runner("gguf").run({"folder": str(tmp_path), "threads": 1, "tokens": 4, "repeats": 1}, lambda r: None)


def test_what_exporters_cannot_do_is_refused(tmp_path: Path) -> None:
    from penstock.optimise.exporters import ctranslate2, onnx

    for run, name in ((onnx.run, "precision"), (ctranslate2.run, "quantization")):
        with pytest.raises(Invalid, match=f"Unknown {name} 'x'"):
            run({"source": "x", "output": "x", name: "x"}, lambda report: None)
        with pytest.raises(Invalid, match=r"no config\.json"):
            run({"source": str(tmp_path), "output": str(tmp_path / "out")}, lambda report: None)
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"architectures": ["NovelForCausalLM"], "model_type": "novel"}')
    with pytest.raises(Invalid, match="cannot convert NovelForCausalLM"):
        ctranslate2.run({"source": str(other), "output": str(tmp_path / "out")}, lambda report: None)
