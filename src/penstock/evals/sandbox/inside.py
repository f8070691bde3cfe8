"""Runs inside the child, before the foreign code: takes network, files and resources away, then runs it.

Started as `python -I -S inside.py FOLDER CODE LIMITS`; imports nothing of Penstock. On Linux with user namespaces, the
child gets a network with no interface and a file system of its own that holds the interpreter and system libraries,
read-only, and an empty /tmp. Elsewhere only the limits and an audit hook remain, which stop accidents, not attacks: the
exit code WEAK says so before anything is run, unless the caller allows it. Sources: unshare(2), mount_namespaces(7),
user_namespaces(7); audit events: PEP 578.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WEAK = 77
_NEW_NAMESPACES = 0x10000000 | 0x40000000 | 0x00020000 | 0x08000000
"""CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWNS and CLONE_NEWIPC."""
_BIND, _RECURSIVE, _PRIVATE, _READ_ONLY, _REMOUNT, _NO_SUID, _NO_DEVICES = 4096, 16384, 1 << 18, 1, 32, 2, 4
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin")


def _mount(
    libc: ctypes.CDLL,
    source: str | None,
    target: Path,
    kind: str | None,
    flags: int,
    data: bytes | None = None,
) -> None:
    texts = [None if one is None else str(one).encode() for one in (source, target, kind)]
    if libc.mount(*texts, ctypes.c_ulong(flags), data) != 0:
        raise OSError(ctypes.get_errno(), f"mount {target}")


def _unshared(libc: ctypes.CDLL) -> bool:
    """Enter namespaces of one's own as the same user; returns False where the kernel does not allow it."""
    user, group = os.getuid(), os.getgid()
    try:
        if libc.unshare(_NEW_NAMESPACES) != 0:
            return False
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            (Path("/proc/self") / name).write_text(text)
    except (OSError, AttributeError):
        return False
    return True


def shut_in(root: Path, keep: Sequence[Path]) -> bool:
    """Leave network and file system behind; returns False where the kernel does not allow it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not _unshared(libc):
        return False
    _mount(libc, None, Path("/"), None, _RECURSIVE | _PRIVATE)
    _mount(libc, "tmpfs", root, "tmpfs", _NO_SUID | _NO_DEVICES, b"size=64m,mode=755")
    for path in keep:
        inner = root / path.relative_to("/")
        if path.is_symlink():
            inner.parent.mkdir(parents=True, exist_ok=True)
            inner.symlink_to(path.readlink())
        elif path.is_dir() and not inner.exists():
            inner.mkdir(parents=True)
            _mount(libc, str(path), inner, None, _BIND | _RECURSIVE)
            _mount(libc, None, inner, None, _BIND | _REMOUNT | _READ_ONLY | _NO_SUID | _NO_DEVICES)
    (root / "tmp").mkdir(mode=0o700)
    os.chroot(root)
    os.chdir("/tmp")
    return True


def give_up_powers() -> None:
    """Drop every capability and the way back to them, so that nothing above can be undone."""
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, drop_from_bounding_set = 38, 24
    libc.prctl(no_new_privileges, 1, 0, 0, 0)
    for capability in range(64):
        libc.prctl(drop_from_bounding_set, capability, 0, 0, 0)

    class Header(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]

    nothing = (ctypes.c_uint32 * 6)()
    if libc.capset(ctypes.byref(Header(0x20080522, 0)), ctypes.byref(nothing)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def end_with(parent: int) -> None:
    """End this process when the one that started it dies: code that sleeps would use none of its CPU seconds.

    Asked for once no more powers change, which would undo it (prctl(2), PR_SET_PDEATHSIG).
    """
    death_signal = 1
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(death_signal, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def limit(limits: Mapping[str, Any]) -> None:
    """Set the limits of this process and what it starts."""
    memory = int(limits["memory_mb"]) << 20
    seconds = int(limits["seconds"]) + 1
    for what, value in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 16 << 20),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (value, value))
    # Processes are counted per user, so only a limit of none is meaningful; root is not held by it.
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def watch() -> None:
    """Refuse network, processes and foreign libraries to Python code."""
    refused = (
        "socket.",
        "subprocess.",
        "os.exec",
        "os.fork",
        "os.posix_spawn",
        "os.system",
        "os.kill",
        "ctypes.",
        "pty.",
    )

    def hook(event: str, _arguments: tuple[Any, ...]) -> None:
        if event.startswith(refused):
            raise PermissionError(f"{event} is not allowed here")

    sys.addaudithook(hook)


def main() -> None:
    """Shut the process in and run the code."""
    root, code_path, limits = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    code = code_path.read_text(encoding="utf-8")
    own = {Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)}
    keep = [*map(Path, _SYSTEM), *sorted(own, key=lambda path: len(str(path)))]
    strong = sys.platform == "linux" and shut_in(root, keep)
    if strong:
        give_up_powers()
    elif not limits["allow_weak"]:
        sys.exit(WEAK)
    end_with(int(limits["parent"]))
    limit(limits)
    watch()
    sys.argv = ["answer.py"]
    exec(compile(code, "answer.py", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    main()
