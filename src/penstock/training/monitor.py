"""What a process and its descendants use: memory, CPU, and, where the machine tells, GPU and power.

Read from /proc (proc(5)), Intel's running average power limit (powercap, microjoules) and nvidia-smi. A figure that
the machine does not give is left out.
"""

import os
import shutil
import subprocess
from pathlib import Path

from penstock.core import clock

_GPU_SECONDS = 2.0
_TIMEOUT_SECONDS = 5
_QUERY = "utilization.gpu,memory.used,power.draw"
_MIB = 1 << 20


class Monitor:
    """Samples the process `pid` and all its descendants."""

    def __init__(
        self, pid: int, *, proc: Path = Path("/proc"), powercap: Path | None = None, gpus: str | None = None
    ) -> None:
        """`gpus` are the ones to look at, as in CUDA_VISIBLE_DEVICES: None all of the machine, empty none."""
        self._pid = pid
        self._gpus = gpus
        self._proc = proc
        self._tick = os.sysconf("SC_CLK_TCK")
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._energy_files = sorted(
            (powercap or Path("/sys/class/powercap")).glob("intel-rapl:[0-9]*/energy_uj")
        )
        self._smi = None if gpus == "" else shutil.which("nvidia-smi")
        self._gpu: dict[str, float] = {}
        self._gpu_at = float("-inf")
        self._before: tuple[float, float, float | None] | None = None
        self.peak_memory = 0
        """Most memory seen at once, in bytes."""

    def sample(self) -> dict[str, float]:
        """Return `memory_bytes`, `cpu_percent` (100 is one core), `gpu_percent`, `gpu_memory_bytes`, `power_w`.

        CPU and power are means since the sample before, so the first one has neither.
        """
        memory, seconds = 0, 0.0
        for pid in self._family():
            held, used = self._process(pid)
            memory, seconds = memory + held, seconds + used
        self.peak_memory = max(self.peak_memory, memory)
        now, energy = clock.monotonic(), self._energy()
        found: dict[str, float] = {"memory_bytes": float(memory)} if memory else {}
        if self._before is not None and now > self._before[0]:
            elapsed = now - self._before[0]
            # Processes that ended take their time along.
            found["cpu_percent"] = round(max(0.0, seconds - self._before[1]) / elapsed * 100, 1)
            if energy is not None and self._before[2] is not None and energy >= self._before[2]:
                found["power_w"] = round((energy - self._before[2]) / elapsed / 1e6, 1)
        self._before = (now, seconds, energy)
        self._add_gpu(found, now)
        return found

    def _family(self) -> list[int]:
        family = [self._pid]
        for pid in family:
            for task in (self._proc / str(pid) / "task").glob("*/children"):
                try:
                    family += [int(child) for child in task.read_text().split()]
                except OSError:
                    continue
        return family

    def _process(self, pid: int) -> tuple[int, float]:
        """Return resident bytes and CPU seconds; nothing for a process that has ended."""
        try:
            fields = (self._proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
            pages = int((self._proc / str(pid) / "statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0, 0.0
        return pages * self._page, (int(fields[11]) + int(fields[12])) / self._tick

    def _energy(self) -> float | None:
        try:
            return float(sum(int(path.read_text()) for path in self._energy_files)) or None
        except (OSError, ValueError):
            return None

    def _add_gpu(self, found: dict[str, float], now: float) -> None:
        if self._smi is None:
            return
        if now - self._gpu_at >= _GPU_SECONDS:
            self._gpu_at, self._gpu = now, self._ask_gpu()
        power = self._gpu.get("power_w")
        found.update({name: value for name, value in self._gpu.items() if name != "power_w"})
        if power is not None:
            found["power_w"] = round(found.get("power_w", 0.0) + power, 1)

    def _ask_gpu(self) -> dict[str, float]:
        command = [str(self._smi), f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
        if self._gpus:
            command.append(f"--id={self._gpus}")
        try:
            answer = subprocess.run(
                command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return {}
        return gpu_figures(answer.stdout) if answer.returncode == 0 else {}


def gpu_figures(text: str) -> dict[str, float]:
    """Return the figures of nvidia-smi's lines (see _QUERY) over all GPUs: mean use, summed memory and power."""
    columns: list[list[float]] = [[], [], []]
    for line in text.splitlines():
        for column, cell in zip(columns, line.split(","), strict=False):
            try:
                column.append(float(cell))
            except ValueError:
                continue  # "[N/A]": this GPU does not tell
    use, memory, power = columns
    found: dict[str, float] = {}
    if use:
        found["gpu_percent"] = round(sum(use) / len(use), 1)
    if memory:
        found["gpu_memory_bytes"] = sum(memory) * _MIB
    if power:
        found["power_w"] = sum(power)
    return found
