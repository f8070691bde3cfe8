"""Fixtures of optimisation tests."""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.core import plugins
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.evals.suite import Suite
from tests.architecture.code import PACKAGE, ROOT
from tests.optimise.shop import Children, furnish


@pytest.fixture
def suite(home: Home, actor: Actor, tmp_path: Path) -> Suite:
    """The parent `triage@1`, its rows, and the suite that judges on them."""
    return furnish(home, actor, tmp_path)


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Children:
    """No process is started: a scripted one answers in its place."""
    scripted = Children()
    monkeypatch.setattr("penstock.optimise.making.run_child", scripted)
    monkeypatch.setattr("penstock.evals.child_target.run_child", scripted)
    return scripted


@pytest.fixture
def own_entry_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Plug-ins as this checkout's pyproject.toml names them, here and in children, whatever was installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    folder = tmp_path / "metadata" / "penstock_checkout-0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: penstock-checkout\nVersion: 0\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items()), ""]
    (folder / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(folder.parent))
    paths = [str(folder.parent), str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    plugins._group.cache_clear()
    yield
    monkeypatch.undo()
    plugins._group.cache_clear()
