"""The supervisor with real children: what they say, how they are stopped, and why they died."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import Cancelled, ChildFailed, Invalid
from penstock.training import supervisor
from penstock.training.supervisor import Control, run_child
from tests.training.plugged import install


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "site"
    folder.mkdir()
    return install(folder)


def test_reports_arrive_in_order_with_what_the_process_uses(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    heard: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    result = run_child(
        "trainers",
        "steps",
        {"steps": 3, "sleep": 0.3},
        workdir=tmp_path / "run",
        on_progress=heard.append,
        environment=environment,
        control=Control(environment=found.append),
    )
    assert (result["steps"], result["threads"]) == (3, "1")
    assert result["pid"] != os.getpid()
    assert found[0]["python"].startswith("3.")
    assert found[0]["packages"]["msgspec"]
    assert [(report["step"], report["loss"]) for report in heard] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert heard[-1]["memory_bytes"] > 1_000_000


def test_a_pause_is_answered_at_the_next_checkpoint(tmp_path: Path, environment: dict[str, str]) -> None:
    begun = threading.Event()
    result = run_child(
        "trainers",
        "steps",
        {"steps": 10_000, "sleep": 0.02},
        workdir=tmp_path / "run",
        on_progress=lambda report: begun.set() if "step" in report else None,
        environment=environment,
        control=Control(paused=begun.is_set),
    )
    assert result["paused"] is True
    assert 1 <= result["step"] < 10_000


def test_a_child_that_does_not_answer_a_pause_is_stopped(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "PAUSE_SECONDS", 0.2)
    begun = threading.Event()
    result = run_child(
        "trainers",
        "deaf",
        {},
        workdir=tmp_path / "run",
        on_progress=lambda report: begun.set() if "step" in report else None,
        environment=environment,
        control=Control(paused=begun.is_set),
    )
    assert result == {"paused": True, "step": 7}


def test_a_cancelled_child_is_gone(tmp_path: Path, environment: dict[str, str]) -> None:
    begun = threading.Event()
    with pytest.raises(Cancelled):
        run_child(
            "trainers",
            "deaf",
            {},
            workdir=tmp_path / "run",
            on_progress=lambda report: begun.set() if "step" in report else None,
            cancelled=begun.is_set,
            environment=environment,
        )


def test_each_checkpoint_waits_for_its_verdict(tmp_path: Path, environment: dict[str, str]) -> None:
    judged: list[tuple[int, str]] = []

    def judge(step: int, folder: str) -> dict[str, Any]:
        judged.append((step, folder))
        return {"stop": step == 2, "best_step": 1}

    result = run_child(
        "trainers",
        "steps",
        {"steps": 9},
        workdir=tmp_path / "run",
        environment=environment,
        control=Control(judge=judge),
    )
    assert (result["steps"], judged) == (2, [(1, "checkpoint-1"), (2, "checkpoint-2")])


def test_running_out_of_memory_says_what_to_change(tmp_path: Path, environment: dict[str, str]) -> None:
    spec = {
        "megabytes": 4000,
        "batch_size": 16,
        "max_length": 512,
        "adapter": {"rank": 0},
        "running": {"memory_mb": 1500},
    }
    with pytest.raises(ChildFailed, match="trainers/greedy ran out of memory") as caught:
        run_child("trainers", "greedy", spec, workdir=tmp_path / "run", environment=environment)
    hint = caught.value.hint
    assert "--set running.gradient_accumulation=2 (the same 16 rows per step" in hint
    assert "running.gradient_checkpointing=true" in hint
    assert "adapter.rank=16" in hint
    assert "memory_mb is 1500" in hint


def test_a_death_is_told_with_the_end_of_the_log(tmp_path: Path, environment: dict[str, str]) -> None:
    with pytest.raises(ChildFailed, match=r"was killed by SIGKILL[\s\S]*about to die"):
        run_child("trainers", "killed", {}, workdir=tmp_path / "run", environment=environment)
    with pytest.raises(ChildFailed, match=r"exit code 1[\s\S]*ZeroDivisionError: a bug") as caught:
        run_child("trainers", "broken", {}, workdir=tmp_path / "run", environment=environment)
    assert "about to die" not in caught.value.message
    with pytest.raises(Invalid, match=r"Row 3 is empty\. Drop it\."):
        run_child("trainers", "wrong", {}, workdir=tmp_path / "run", environment=environment)
