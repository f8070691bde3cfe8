"""What pipelines are tried on."""

from pathlib import Path

import pytest

from penstock.app import policies
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.training import service as training
from tests.optimise.shop import Children
from tests.pipelines.stage import furnish
from tests.training.stage import Trainer


@pytest.fixture
def file(home: Home, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rows in a file, a base model and a suite; a scripted trainer, exporter and engine."""
    policies.install()
    path = furnish(home, actor, tmp_path)
    children = Children()
    monkeypatch.setattr(training, "run_child", Trainer())
    for module in ("registry.export", "evals.child_target"):
        monkeypatch.setattr(f"penstock.{module}.run_child", children)
    return path
