"""The Python a run was measured with: builds of one version differ by a quarter.

    python benchmarks/interpreter.py

`optimised` are the profile-guided (pgo) and link-time (lto) optimisations that its build flags tell of. A build may
have them and not say so (Debian's and Ubuntu's packages), so `loop_ms` says how fast it runs plain Python: the same
loop, lowest of many rounds.
"""

import json
import platform
import sysconfig
from time import perf_counter

_FLAGS = ("CONFIG_ARGS", "PY_CORE_CFLAGS", "PY_CORE_LDFLAGS")
_SIGNS = {"pgo": ("--enable-optimizations", "-fprofile-use"), "lto": ("--with-lto", "-flto")}


def optimised() -> list[str]:
    """Return which of pgo and lto the build flags name."""
    said = " ".join(str(sysconfig.get_config_var(name)) for name in _FLAGS)
    return [name for name, signs in _SIGNS.items() if any(sign in said for sign in signs)]


class _Counter:
    def __init__(self) -> None:
        self.names: dict[str, int] = {}

    def add(self, name: str) -> int:
        self.names[name] = self.names.get(name, 0) + 1
        return self.names[name]


def loop_ms(rounds: int = 60) -> float:
    """Return the lowest milliseconds of a loop of method calls, dictionary look-ups and formatting."""
    lowest = float("inf")
    for _ in range(rounds):
        counter, begun = _Counter(), perf_counter()
        for number in range(5_000):
            counter.add(f"name {number % 50}")
        lowest = min(lowest, perf_counter() - begun)
    return round(lowest * 1e3, 3)


def described() -> dict[str, object]:
    """Return what to print beside measurements."""
    return {
        "version": platform.python_version(),
        "compiler": platform.python_compiler(),
        "optimised": optimised(),
        "loop_ms": loop_ms(),
    }


if __name__ == "__main__":
    print(json.dumps(described()))
