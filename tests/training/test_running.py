"""Pure parts of carrying out a run: verdicts, cutting a step, what to do without memory, what machines tell."""

from pathlib import Path

import pytest

from penstock.core.errors import Invalid
from penstock.training.memory import is_out_of_memory, suggestion
from penstock.training.monitor import Monitor, gpu_figures
from penstock.training.running import EarlyStop, Running, Verdict, verdict
from tests.training.stage import recipe


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.5], Verdict(stop=False, best_step=10)),
        ([0.5, 0.6, 0.7], Verdict(stop=False, best_step=30)),
        ([0.5, 0.5], Verdict(stop=False, best_step=10)),
        ([0.5, 0.5, 0.5], Verdict(stop=True, best_step=10)),
        ([0.5, 0.8, 0.7, 0.6], Verdict(stop=True, best_step=20)),
        ([0.5, 0.4, 0.6, 0.5], Verdict(stop=False, best_step=30)),
    ],
)
def test_a_run_stops_when_the_best_is_old(scores: list[float], expected: Verdict) -> None:
    pairs = [(10 * n, score) for n, score in enumerate(scores, 1)]
    assert verdict(pairs, EarlyStop(suite="s", patience=2)) == expected
    turned = [(step, -score) for step, score in pairs]
    assert verdict(turned, EarlyStop(suite="s", patience=2, direction="minimize")) == expected


def test_a_small_improvement_does_not_count() -> None:
    pairs = [(1, 0.5), (2, 0.505), (3, 0.507)]
    assert verdict(pairs, EarlyStop(suite="s", min_delta=0.01)) == Verdict(stop=True, best_step=1)


def test_a_step_is_cut_evenly_or_refused() -> None:
    assert Running(processes=2, gradient_accumulation=4).rows_per_pass(16) == 2
    with pytest.raises(Invalid, match="cannot be cut into 3 equal parts"):
        Running(processes=3).rows_per_pass(16)


@pytest.mark.parametrize(
    "changes",
    [
        {"running": {"processes": 0}},
        {"running": {"strategy": "dpp"}},
        {"running": {"memory_mb": -1}},
        {"early_stop": {"direction": "up"}},
        {"early_stop": {"patience": 0}},
    ],
)
def test_a_recipe_that_cannot_be_carried_out_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        recipe(**changes)


def test_memory_that_ran_out_is_recognised() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")
    )
    assert is_out_of_memory(type("OutOfMemoryError", (RuntimeError,), {})("CUDA"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))


def test_the_suggestion_keeps_the_step_and_names_only_what_is_left() -> None:
    spec = {"batch_size": 12, "running": {"gradient_accumulation": 2, "processes": 2}}
    assert "running.gradient_accumulation=3 " in suggestion(spec)
    spec = {"batch_size": 1, "max_length": 64, "running": {"gradient_checkpointing": True}}
    assert suggestion(spec, 3 << 30) == "Try a smaller model. It held 3.0 GiB when last seen."


def process(folder: Path, pid: int, *, pages: int, ticks: int, children: str = "") -> None:
    (folder / str(pid) / "task" / str(pid)).mkdir(parents=True, exist_ok=True)
    (folder / str(pid) / "task" / str(pid) / "children").write_text(children)
    (folder / str(pid) / "statm").write_text(f"{pages * 3} {pages} 0 0 0 0 0\n")
    (folder / str(pid) / "stat").write_text(f"{pid} (a (b) c) S 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 0 0\n")


def test_a_whole_family_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.training.monitor.shutil.which", lambda _name: None)
    times = iter([10.0, 12.0])
    monkeypatch.setattr("penstock.training.monitor.clock.monotonic", lambda: next(times))
    energy = tmp_path / "power" / "intel-rapl:0" / "energy_uj"
    energy.parent.mkdir(parents=True)
    energy.write_text("1000000\n")
    proc = tmp_path / "proc"
    process(proc, 5, pages=10, ticks=100, children="6 7")
    process(proc, 6, pages=20, ticks=0)
    monitor = Monitor(5, proc=proc, powercap=tmp_path / "power")
    page, tick = monitor._page, monitor._tick
    assert monitor.sample() == {"memory_bytes": 30 * page}
    process(proc, 5, pages=5, ticks=100 + tick, children="6")
    process(proc, 6, pages=20, ticks=2 * tick)
    energy.write_text("21000000\n")
    assert monitor.sample() == {"memory_bytes": 25 * page, "cpu_percent": 150.0, "power_w": 10.0}
    assert monitor.peak_memory == 30 * page


def test_a_run_is_told_of_its_own_gpus_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        '#!/bin/sh\ncase "$*" in *--id=0,2*) echo 50, 1, 100; echo 70, 1, 50;; *) echo 9, 9, 9;; esac\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    place = {"proc": tmp_path / "proc", "powercap": tmp_path / "power"}
    own = Monitor(5, gpus="0,2", **place).sample()
    assert own == {"gpu_percent": 60.0, "gpu_memory_bytes": 2 * 1024 * 1024, "power_w": 150.0}
    assert Monitor(5, gpus="", **place).sample() == {}
    assert Monitor(5, **place).sample()["gpu_percent"] == 9.0


def test_figures_of_gpus_that_tell_and_that_do_not() -> None:
    assert gpu_figures("50, 1024, 100.5\n100, 2048, 99.5\n") == {
        "gpu_percent": 75.0,
        "gpu_memory_bytes": 3072 * 1024 * 1024,
        "power_w": 200.0,
    }
    assert gpu_figures("[N/A], 10, [N/A]\n") == {"gpu_memory_bytes": 10 * 1024 * 1024}
    assert gpu_figures("") == {}
