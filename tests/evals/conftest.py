"""Fixtures of evaluation tests."""

from typing import Any

import pytest

from penstock.core import plugins
from penstock.evals.bias.scorer import BiasChoice
from penstock.evals.redteam.scorer import AttackSuccess
from penstock.evals.scorers.harness import Harness
from penstock.evals.scorers.recorded import Recorded

NEW = {"attack": AttackSuccess, "bias_choice": BiasChoice, "harness": Harness, "recorded": Recorded}


@pytest.fixture
def newest_scorers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know scorers whose entry points the installed package's metadata may not list yet."""
    load = plugins.load

    def known(group: str, name: str) -> Any:
        return NEW[name] if group == "scorers" and name in NEW else load(group, name)

    monkeypatch.setattr(plugins, "load", known)
