"""What a run is carried out on: Python, packages, machine, as `training.environment` tells it of our own runs."""

import json
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from penstock.version import __version__

FILE = "environment.json"
"""The artifact that holds it."""
PYTHON, MACHINE = "penstock.python", "penstock.machine"
"""Tags that say the most of it in one line each."""
_TIMEOUT_SECONDS = 10
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "WORLD_SIZE", "KERAS_BACKEND")


def describe() -> dict[str, Any]:
    """Return versions of Penstock, Python and every installed package, the machine, its GPUs, and thread settings."""
    packages = {dist.name.lower(): dist.version for dist in metadata.distributions() if dist.name}
    return {
        "penstock": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_bytes": _memory(),
        "gpus": _gpus(),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "packages": dict(sorted(packages.items())),
    }


def text_of(found: dict[str, Any]) -> str:
    """Return the artifact's text."""
    return json.dumps(found, indent=1)


def tags_of(found: dict[str, Any]) -> dict[str, str]:
    """Return the tags that name Python and the machine."""
    parts = [
        found["cpu"],
        f"{found['cores']} cores",
        f"{found['memory_bytes'] / 2**30:.0f} GiB",
        *found["gpus"],
    ]
    return {PYTHON: found["python"], MACHINE: ", ".join(part for part in parts if part)}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0  # a platform that does not tell


def _gpus() -> list[str]:
    """Return `name, memory, driver` of each NVIDIA GPU."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(
            [tool, *query], capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return answer.stdout.splitlines() if answer.returncode == 0 else []
