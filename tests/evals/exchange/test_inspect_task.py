"""The questions of an Inspect log, to be run here."""

import json
from typing import Any

import pytest
from tests.evals.exchange.test_inspect import REAL

from penstock.core.errors import Invalid
from penstock.evals.exchange.inspect_task import read


def test_a_log_of_the_real_package() -> None:
    task = read(REAL.read_bytes())
    assert task.name == "tiny"
    assert task.rows == (
        {"id": "a", "expected": ["4"], "prompt": "2+2?"},
        {"id": "b", "expected": ["Lima"], "prompt": "Capital of Peru?"},
        {"id": "c", "expected": ["9"], "prompt": "3*3?"},
    )
    assert [scorer["name"] for scorer in task.scorers] == ["contains"]
    assert any("where the target stands" in note for note in task.notes)


def log(**sample: Any) -> bytes:
    made = {"eval": {"task": "pkg/quiz", "scorers": [{"name": "choice"}, {"name": "pkg/own"}]}}
    plan = {"steps": [{"solver": "chain_of_thought"}, {"solver": "generate"}]}
    return json.dumps({**made, "plan": plan, "samples": [{"id": 1, "epoch": 1, **sample}]}).encode()


def test_choices_messages_and_what_is_left_out() -> None:
    task = read(log(input="Sky?", choices=["green", "blue"], target="B"))
    assert task.rows[0]["prompt"].startswith("Sky?\n\nA. green\nB. blue")
    assert task.scorers[0]["name"] == "harness"
    assert task.notes == (
        "Solvers are not taken over: chain_of_thought.",
        "The scorer 'own' has no counterpart and was left out.",
    )
    talk = read(
        log(input=[{"role": "system", "content": "S"}, {"role": "user", "content": [{"text": "Hi"}]}])
    )
    assert talk.rows[0]["messages"][1] == {"role": "user", "content": "Hi"}
    with pytest.raises(Invalid, match="no Inspect log"):
        read(b'{"eval": {}}')
