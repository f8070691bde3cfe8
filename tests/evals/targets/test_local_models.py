"""Local model folders and GGUF files, in real child processes."""

import importlib
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import tiny_model

from penstock.core.errors import ChildFailed, Invalid
from penstock.core.home import Home
from penstock.core.scope import system_actor
from penstock.evals.child_target import ChildTarget
from penstock.evals.model import Output, Sample
from penstock.evals.ports import TargetContext
from penstock.evals.targets.gguf_local import find_gguf

pytestmark = [pytest.mark.heavy, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.save_model(tmp_path_factory.mktemp("tiny"), steps=60)


def ask(home: Home, workdir: Path, kind: str, texts: list[str], **options: Any) -> dict[str, Output]:
    context = TargetContext(home=home, actor=system_actor(), workdir=workdir)
    samples = [
        Sample(id=f"s{i}", ordinal=i, messages=({"role": "user", "content": t},)) for i, t in enumerate(texts)
    ]
    outputs = [o for batch in ChildTarget(kind, options, context).generate(samples) for o in batch]
    assert len(outputs) == len(texts)
    return {output.sample_id: output for output in outputs}


def test_batches_answer_as_one_by_one_does(sqlite_home: Home, tmp_path: Path, folder: Path) -> None:
    prompts = tiny_model.PROMPTS[:12]
    found = ask(
        sqlite_home,
        tmp_path,
        "transformers",
        prompts,
        folder=str(folder),
        prompt_style="raw",
        max_tokens=24,
        batch_size=5,
    )
    assert [found[f"s{i}"].text for i in range(12)] == tiny_model.greedy(folder, prompts)
    assert all(o.output_tokens and o.output_tokens <= 24 and o.latency_s for o in found.values())


def test_gguf_answers_as_its_source_does(sqlite_home: Home, tmp_path: Path, folder: Path) -> None:
    exporter = importlib.import_module("penstock.registry.exporters.gguf")
    target = tmp_path / "gguf"
    exporter.run({"source": str(folder), "output": str(target), "quantization": "f32"}, lambda _report: None)
    questions = [line[:30] for line in tiny_model.CORPUS]
    hf = ask(sqlite_home, tmp_path / "a", "transformers", questions, folder=str(folder), max_tokens=16)
    cpp = ask(
        sqlite_home, tmp_path / "b", "gguf", questions, folder=str(find_gguf(str(target))), max_tokens=16
    )
    assert all(output.error is None for output in cpp.values())
    assert [cpp[key].text.strip() for key in sorted(cpp)] == [hf[key].text.strip() for key in sorted(hf)]


def test_mistakes_are_told_by_the_child(sqlite_home: Home, tmp_path: Path, folder: Path) -> None:
    with pytest.raises(Invalid, match="no option 'max_token'"):
        ask(sqlite_home, tmp_path, "transformers", ["x"], folder=str(folder), max_token=3)
    with pytest.raises(Invalid, match="GGUF files"):
        ask(sqlite_home, tmp_path, "gguf", ["x"], folder=str(tmp_path))
    with pytest.raises(ChildFailed, match="log"):
        ask(sqlite_home, tmp_path, "transformers", ["x"], folder=str(tmp_path / "nowhere"))
