"""What processes use, from the operating system: CPU time and memory from /proc, GPUs from `nvidia-smi`."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.core import clock, log
from penstock.serving.settings import ServingSettings

logger = log.get("serving")
_PROC = Path("/proc")
_GIB = 1024**3
_GPU_SECONDS = 5.0
VISIBLE = "CUDA_VISIBLE_DEVICES"
_GPU_QUERY = "--query-gpu=index,utilization.gpu,memory.used,memory.total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What the processes of one session have used."""

    cpu_seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU now."""

    index: int
    percent: float
    memory_used: int
    """Bytes."""
    memory_total: int


def sessions(wanted: set[int], proc: Path = _PROC) -> dict[int, Spent]:
    """Return session id → what its processes use, for the sessions wanted; empty where there is no /proc.

    An engine is the leader of its own session, so the workers that it starts count too (proc(5), /proc/PID/stat).
    """
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    found: dict[int, Spent] = {}
    if not proc.is_dir() or not wanted:
        return found
    for entry in os.scandir(proc):
        if not entry.name.isdigit():
            continue
        try:
            fields = (proc / entry.name / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended between listing and reading
        session = int(fields[3])
        if session in wanted:
            before = found.get(session, Spent(cpu_seconds=0.0, memory_bytes=0))
            found[session] = Spent(
                cpu_seconds=before.cpu_seconds + (int(fields[11]) + int(fields[12])) / ticks,
                memory_bytes=before.memory_bytes + int(fields[21]) * page,
            )
    return found


def memory_bytes() -> int:
    """Return the machine's physical memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def to_share(settings: ServingSettings) -> int:
    """Return the bytes of memory that deployments and training share: as set by hand, or all there is."""
    return int(settings.memory_gb * _GIB) or memory_bytes()


def parse_gpus(text: str) -> list[Gpu]:
    """Read `nvidia-smi --query-gpu=index,utilization.gpu,memory.used,memory.total --format=csv,noheader,nounits`.

    Memory is in MiB there; what a card does not tell (`[N/A]`) counts as 0.
    """
    found = []
    for line in text.strip().splitlines():
        index, percent, used, total = (_number(cell) for cell in line.split(","))
        found.append(
            Gpu(
                index=int(index),
                percent=percent,
                memory_used=int(used) * 1024**2,
                memory_total=int(total) * 1024**2,
            )
        )
    return found


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return 0.0


class Gpus:
    """The machine's GPUs; asked at most every five seconds."""

    def __init__(self) -> None:
        self._program = shutil.which("nvidia-smi")
        self.seen: list[Gpu] = []
        """As they answered last."""
        self._asked = float("-inf")

    def read(self) -> list[Gpu]:
        """Return the GPUs; empty without `nvidia-smi`, and as last seen when it does not answer."""
        now = clock.monotonic()
        if self._program is None or now - self._asked < _GPU_SECONDS:
            return self.seen
        self._asked = now
        try:
            answer = subprocess.run(
                [self._program, _GPU_QUERY, "--format=csv,noheader,nounits"],
                capture_output=True,
                text=True,
                timeout=_GPU_SECONDS,
                check=True,
            )
            self.seen = parse_gpus(answer.stdout)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            logger.warning("nvidia-smi does not answer", extra={"reason": str(error)})
        return self.seen


_NUMBERS: list[Gpu] = []


def gpu_numbers() -> tuple[int, ...]:
    """Return the numbers of the GPUs that may be shared out; the machine is asked until it has told of some."""
    if not _NUMBERS:
        _NUMBERS.extend(_MACHINE.read())
    return allowed(tuple(gpu.index for gpu in _NUMBERS), os.environ)


def allowed(numbers: tuple[int, ...], environment: Mapping[str, str]) -> tuple[int, ...]:
    """Return those of the GPUs that this process was left with by CUDA_VISIBLE_DEVICES; none when it gives names.

    https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables: a list of numbers or UUIDs.
    """
    told = environment.get(VISIBLE)
    if told is None:
        return numbers
    named = {each.strip() for each in told.split(",")}
    return tuple(number for number in numbers if str(number) in named)


_MACHINE = Gpus()
