"""Which process keeps a replica, and whether it still lives: engines end with the process that started them."""

import os
import socket
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

from penstock.serving.model import Replica, ReplicaState, Usage

_PROC = Path("/proc")
_START, _STATE = 19, 0
"""Fields of /proc/PID/stat after the program's name (proc(5), 22 and 3)."""
ENDED = "The process that kept it has ended; it starts again when Penstock runs."


@cache
def _place() -> str:
    """Return what tells this machine, boot and process namespace from others."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink().name}"
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str:
    """Return when the process began, in the kernel's ticks; empty when it has ended."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if _PROC.is_dir() or not _exists(pid) else "?"
    return "" if fields[_STATE] in "ZX" else fields[_START]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def mark(pid: int | None = None) -> str:
    """Return what names a process of this machine (default: this one) for good, though its number may come again."""
    number = os.getpid() if pid is None else pid
    return f"{_place()}|{number}|{_started(number)}"


def has_ended(kept_by: str) -> bool:
    """Whether the process with that mark has ended; False for one elsewhere, which cannot be asked."""
    place, _, rest = kept_by.partition("|")
    number, _, began = rest.partition("|")
    return place == _place() and number.isdigit() and _started(int(number)) != began


def as_now(replicas: Iterable[Replica]) -> list[Replica]:
    """Return the replicas as they are: those whose keeper has ended are waited for, whatever it wrote last."""
    found = list(replicas)
    gone = {kept_by for kept_by in {replica.keeper for replica in found} if has_ended(kept_by)}
    return [_waited_for(replica) if replica.keeper in gone else replica for replica in found]


def _waited_for(replica: Replica) -> Replica:
    if replica.state is ReplicaState.FAILED:
        return replica
    return replace(
        replica,
        state=ReplicaState.PENDING,
        reason=ENDED,
        url="",
        pid=None,
        gpus=(),
        adapters=(),
        usage=Usage(),
    )
