"""A parent, rows to judge on, and a scripted child process in place of everything heavy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.core.errors import ChildFailed, Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.evals.suite import ScorerSpec, Suite
from penstock.optimise import methods
from penstock.optimise.service import Request
from penstock.registry import service as registry
from tests.evals.support import CATEGORIES, ingest
from tests.registry.folders import base_folder

WRONG = {"q8_0": 0, "q4_1": 2, "q4_0": 25}
"""Quantisation → on how many of the 60 samples the scripted file answers wrongly."""
HEADER = b"GGUF" + (3).to_bytes(4, "little") + bytes(16)
"""Of a GGUF file without tensors and without values."""
SPEED = {"f32": 50.0, "q8_0": 200.0, "q4_1": 300.0, "q4_0": 400.0}


def furnish(home: Home, actor: Actor, folder: Path) -> Suite:
    """Register `triage@1`, store `tickets@1` with 60 rows, and return the suite that judges on them."""
    registry.register(home, actor, name="triage", folder=base_folder(folder / "base"), kind="base")
    dataset = ingest(home, actor, 60)
    return Suite(
        name="triage",
        dataset=dataset,
        target={"kind": "model"},
        scorers=(ScorerSpec(name="latency"), ScorerSpec(name="exact")),
    )


def request(*to: str, suite: Suite | None = None, **changes: Any) -> Request:
    """Return a request for variants of `triage@1`."""
    return Request(version="triage", to=[methods.parse(text) for text in to], suite=suite, **changes)


class Children:
    """Stands in for `core.children.run_child` of all groups: makes files, gives figures, answers samples."""

    def __init__(self, then: Callable[[str, str, dict[str, Any]], None] | None = None) -> None:
        self.asked: list[tuple[str, str]] = []
        self.specs: list[dict[str, Any]] = []
        self._then = then

    def __call__(
        self, group: str, name: str, spec: dict[str, Any], *, workdir: Path, on_progress: Any, **_: Any
    ) -> dict[str, Any]:
        """Do what the child would."""
        self.asked.append((group, name))
        self.specs.append(spec)
        if self._then:
            self._then(group, name, spec)
        if group == "exporters":
            return self._export(name, spec)
        if group == "runners":
            return self._measure(Path(spec["folder"]))
        return self._answer(spec, on_progress)

    def _export(self, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        output = Path(spec["output"])
        if name == "onnx":
            raise Invalid("The builder does not know X.")
        if name == "ctranslate2":
            raise ChildFailed("exporters/ctranslate2 was killed by SIGKILL (out of memory?).\0")
        if name == "gguf":
            output.mkdir(parents=True)
            (output / "m.gguf").write_bytes(HEADER + spec["quantization"].encode())
            return {"path": str(output / "m.gguf"), "quantization": spec["quantization"]}
        base_folder(output, {"made_by.txt": json.dumps({"plugin": name, "rows": self._rows(spec)})})
        return {"path": str(output), "parameters": 7}

    @staticmethod
    def _rows(spec: dict[str, Any]) -> int:
        return len(Path(spec["rows"]).read_text().splitlines()) if "rows" in spec else 0

    @staticmethod
    def quantization(folder: Path) -> str:
        """Return what the scripted file says it is; f32 for a Hugging Face folder."""
        files = list(folder.glob("*.gguf"))
        return files[0].read_bytes()[len(HEADER) :].decode() if files else "f32"

    def _measure(self, folder: Path) -> dict[str, Any]:
        return {
            "load_s": 0.1,
            "start_s": 0.5,
            "memory_bytes": 1000,
            "tokens_per_s": SPEED[self.quantization(folder)],
            "first_token_s": 0.01,
            "prompts": 9,
            "tokens": 576,
            "provider": "scripted",
        }

    def _answer(self, spec: dict[str, Any], report: Any) -> dict[str, Any]:
        wrong = WRONG.get(self.quantization(Path(spec["folder"])), 0)
        lines = Path(spec["samples"]).read_text().splitlines()
        for line in lines:
            sample = json.loads(line)
            place = int(sample["id"][1:])
            right = f"category: {CATEGORIES[place % 3]}\npriority: {'high' if place % 2 else 'low'}"
            said = "no idea" if place < wrong else right
            report({"outputs": [{"sample_id": sample["id"], "text": said, "latency_s": 0.1}]})
        return {"answered": len(lines)}
