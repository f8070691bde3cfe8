"""Running out of memory: how to tell it, and what to do about it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SIGNS = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "std::bad_alloc",
    "Unable to allocate",
)
_LONG_ROW = 256
_GIB = 1 << 30


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python, numpy or torch says that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and says_out_of_memory(str(error))


def says_out_of_memory(text: str) -> bool:
    """Whether a log speaks of memory that ran out."""
    return any(sign in text for sign in _SIGNS)


def kills() -> int:
    """Return how many processes of this control group the kernel killed for lack of memory; 0 where it is unknown.

    Format: https://docs.kernel.org/admin-guide/cgroup-v2.html, memory.events.
    """
    try:
        path = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2]
        text = (Path("/sys/fs/cgroup") / path.lstrip("/") / "memory.events").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill ")), 0)


def suggestion(spec: Mapping[str, Any], peak_bytes: int = 0) -> str:
    """Return what to change in the recipe, the changes that leave the result alone first."""
    running: Mapping[str, Any] = spec.get("running") or {}
    batch = int(spec.get("batch_size") or 1)
    processes = int(running.get("processes", 1))
    parts = int(running.get("gradient_accumulation", 1))
    advice = []
    more = next((n for n in range(parts + 1, batch + 1) if batch % (n * processes) == 0), 0)
    if more:
        advice.append(
            f"--set running.gradient_accumulation={more} (the same {batch} rows per step, in smaller parts)"
        )
    if not running.get("gradient_checkpointing"):
        advice.append("--set running.gradient_checkpointing=true (the same result, slower)")
    length = int(spec.get("max_length") or 0)
    if length > _LONG_ROW:
        advice.append(f"shorter rows (max_length is {length})")
    adapter: Mapping[str, Any] = spec.get("adapter") or {}
    if adapter and not adapter.get("rank") and not spec.get("adapter_folder"):
        advice.append("an adapter instead of all weights (--set adapter.rank=16)")
    if running.get("memory_mb"):
        advice.append(f"a higher limit (running.memory_mb is {running['memory_mb']})")
    seen = f" It held {peak_bytes / _GIB:.1f} GiB when last seen." if peak_bytes else ""
    return "Try " + ", or ".join(advice or ["a smaller model"]) + "." + seen
