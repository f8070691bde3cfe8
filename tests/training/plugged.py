"""Trainers without torch, installed as a stranger's package would be: a folder on the path with entry points."""

import os
from pathlib import Path

_CODE = """
import os, signal, time
from penstock.core.errors import Invalid
from penstock.training.running import PauseAtCheckpoint

class steps:
    @staticmethod
    def run(spec, report):
        for step in range(1, spec["steps"] + 1):
            report({"stage": "train", "step": step, "steps": spec["steps"], "loss": 1 / step})
            if report.pause_wanted():
                raise PauseAtCheckpoint(step)
            if report.judged and report.verdict(step, f"checkpoint-{step}")["stop"]:
                break
            time.sleep(spec.get("sleep", 0))
        return {"steps": step, "pid": os.getpid(), "threads": os.environ.get("OMP_NUM_THREADS")}

class greedy:
    @staticmethod
    def run(spec, report):
        return {"size": len(bytearray(spec["megabytes"] << 20))}

class killed:
    @staticmethod
    def run(spec, report):
        print("about to die")
        os.kill(os.getpid(), signal.SIGKILL)

class wrong:
    @staticmethod
    def run(spec, report):
        raise Invalid("Row 3 is empty.", hint="Drop it.")

class broken:
    @staticmethod
    def run(spec, report):
        raise ZeroDivisionError("a bug")

class deaf:
    @staticmethod
    def run(spec, report):
        report({"stage": "train", "step": 7, "steps": 9, "loss": 1.0})
        time.sleep(600)
"""
NAMES = ("steps", "greedy", "killed", "wrong", "broken", "deaf")


def install(folder: Path) -> dict[str, str]:
    """Install the trainers in `folder`; returns the environment in which a child finds them."""
    (folder / "plugged_trainers.py").write_text(_CODE)
    info = folder / "plugged_trainers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged-trainers\nVersion: 1.0\n")
    lines = "\n".join(f"{name} = plugged_trainers:{name}" for name in NAMES)
    (info / "entry_points.txt").write_text(f"[penstock.trainers]\n{lines}\n")
    paths = [str(folder), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    source = Path(__file__).resolve().parents[2] / "src"
    return {"PYTHONPATH": os.pathsep.join([*paths, str(source)]), "OMP_NUM_THREADS": "1"}
