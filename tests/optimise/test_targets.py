"""Exported versions as targets of evaluations: found by their kind, asked in a child process."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.evals import target_choice
from penstock.evals.child_target import ChildTarget
from penstock.evals.ports import TargetContext
from penstock.registry import service as registry
from tests.conftest import owner_of

FILES: dict[str, dict[str, bytes]] = {
    "onnx": {"model.onnx": b"\x08\x0a", "model.onnx.data": bytes(8), "genai_config.json": b"{}"},
    "ctranslate2": {"model.bin": (6).to_bytes(4, "little") + b"\x17\0", "config.json": b"{}"},
}


@pytest.mark.parametrize("kind", FILES)
def test_a_registered_export_is_asked_through_its_own_library(
    sqlite_home: Home, tmp_path: Path, own_entry_points: None, kind: str
) -> None:
    home, actor = sqlite_home, owner_of(sqlite_home)
    folder = tmp_path / kind
    folder.mkdir()
    for name, content in FILES[kind].items():
        (folder / name).write_bytes(content)
    version = registry.register(home, actor, name="small", folder=folder, kind=kind)
    pinned, links = target_choice.pin_model(home, actor, {"kind": kind, "model": "small"})
    assert (pinned["model"], [link.ref for link in links]) == ("small@1", ["small@1"])
    context = TargetContext(home=home, actor=actor, workdir=tmp_path / "work")
    gateway = target_choice.OwnGateway(home, actor)
    for target in ({"kind": "model", "model": version.ref}, {"kind": kind, "model": version.ref}):
        found: Any = target_choice.opened(target, context, gateway)
        assert isinstance(found, ChildTarget)
        assert (found._name, Path(found._options["folder"]).is_dir()) == (kind, True)


def test_what_may_be_in_an_export(sqlite_home: Home, tmp_path: Path) -> None:
    home, actor = sqlite_home, owner_of(sqlite_home)
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({}))
    (folder / "model.bin").write_bytes(b"\x80\x04\x95" + bytes(8))
    with pytest.raises(Invalid, match="pickle"):
        registry.register(home, actor, name="bad", folder=folder, kind="ctranslate2")
    (folder / "model.bin").unlink()
    with pytest.raises(Invalid, match=r"no model\.bin"):
        registry.register(home, actor, name="bad", folder=folder, kind="ctranslate2")
    (folder / "extra.engine").write_bytes(bytes(8))
    with pytest.raises(Invalid, match="not stored with models"):
        registry.register(home, actor, name="bad", folder=folder, kind="base")


def test_looking_for_a_target_loads_no_library(own_entry_points: None) -> None:
    from penstock.core import plugins

    before = {"onnxruntime_genai", "ctranslate2"} & set(sys.modules)
    for name in ("onnx", "ctranslate2"):
        assert callable(plugins.load("targets", name).run)
    assert {"onnxruntime_genai", "ctranslate2"} & set(sys.modules) == before
