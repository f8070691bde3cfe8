"""Sharing metrics between processes: each writes what it counted into a file, whoever is asked adds them up.

What a process counted stays counted after its end (until the supervisor starts anew and clears the folder);
its gauges end with it. The files of ended processes are folded into one before they get many.
"""

import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from penstock.core import clock, ids, log
from penstock.core.home import Home, exclusive
from penstock.core.metrics.registry import REGISTRY, Family, Labels, Registry

logger = log.get("metrics")
WRITE_SECONDS = 1.0
STALE_NS = 10_000_000_000
"""A process that has not written for so long has ended."""
FOLD_ABOVE = 16
"""Files of ended processes that are kept apart."""
UP = "penstock_processes"


class Written(msgspec.Struct, frozen=True):
    """A process's file."""

    at_ns: int
    process: str
    families: list[Family]
    ended: bool = False


def _folder(home: Home) -> Path:
    return home.folder("run", "metrics")


def _write(path: Path, content: Written) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_bytes(msgspec.json.encode(content))
    temporary.replace(path)


def _read(path: Path) -> Written | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Written)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        logger.warning("metrics file left out", extra={"file": path.name, "reason": str(error)})
        return None


class Publisher:
    """Writes one process's metrics for the others, every second, in a thread of its own."""

    def __init__(self, home: Home, process: str, registry: Registry = REGISTRY) -> None:
        self._home = home
        self._registry = registry
        self._process = process
        self._path = _folder(home) / f"{ids.new_id(process)}.json"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.run, args=(self._stop,), name="metrics", daemon=True)

    def start(self) -> None:
        """Write from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Write a last time, and stop."""
        self._stop.set()
        self._thread.join()

    def run(self, stop: threading.Event) -> None:
        """Write every second until `stop`; a disk that refuses is tried again."""
        try:
            fold(self._home)
        except OSError as error:
            logger.warning("metrics not folded", extra={"reason": str(error)})
        ended = False
        while not ended:
            ended = stop.wait(WRITE_SECONDS)
            try:
                self.write(ended=ended)
            except OSError as error:
                logger.warning("metrics not written", extra={"reason": str(error)})

    def write(self, *, ended: bool = False) -> None:
        """Write what was counted so far."""
        _write(self._path, self.current(ended=ended))

    def current(self, *, ended: bool = False) -> Written:
        """Return what was counted so far."""
        return Written(clock.now_ns(), self._process, self._registry.families(), ended)

    def page(self) -> list[Family]:
        """Return the metrics of all processes; this one's as they are now."""
        return merged(self._home, own=(self._path.name, self.current()))


def fold(home: Home) -> None:
    """Make one file of those that ended processes left, when there are many."""
    folder = _folder(home)
    with exclusive(folder / "lock", wait=True):
        ended = [
            (path, content)
            for path in sorted(folder.glob("*.json"))
            if (content := _read(path)) is not None and not _alive(content)
        ]
        if len(ended) <= FOLD_ABOVE:
            return
        families = add_up([(content.families, False) for _, content in ended])
        _write(folder / f"{ids.new_id('ended')}.json", Written(0, "ended", families, True))
        for path, _ in ended:
            path.unlink()


def _alive(content: Written) -> bool:
    return not content.ended and clock.now_ns() - content.at_ns < STALE_NS


def merged(home: Home, own: tuple[str, Written] | None = None) -> list[Family]:
    """Return the metrics of all processes, by name; `own` stands in for the file of that name."""
    folder = _folder(home)
    with exclusive(folder / "lock", wait=True):
        found = {path.name: content for path in folder.glob("*.json") if (content := _read(path)) is not None}
    if own is not None:
        found[own[0]] = own[1]
    running: dict[Labels, float] = {}
    for content in found.values():
        if _alive(content):
            running[(content.process,)] = running.get((content.process,), 0.0) + 1
    series = [(labels, [count]) for labels, count in sorted(running.items())]
    processes = Family(UP, "gauge", "Processes that run now.", ("process",), series)
    families = add_up([(content.families, _alive(content)) for content in found.values()])
    return sorted([*families, processes], key=lambda family: family.name)


def add_up(parts: Iterable[tuple[list[Family], bool]]) -> list[Family]:
    """Return the sum of several processes' (families, still alive); gauges of ended ones are left out."""
    first: dict[str, Family] = {}
    sums: dict[str, dict[Labels, list[float]]] = {}
    for families, alive in parts:
        for family in families:
            if family.kind == "gauge" and not alive:
                continue
            known = first.setdefault(family.name, family)
            if (known.labels, known.buckets, known.kind) != (family.labels, family.buckets, family.kind):
                continue  # counted by another version of the program: not the same thing
            _add(sums.setdefault(family.name, {}), family)
    return [
        msgspec.structs.replace(family, series=list(sums[name].items()))
        for name, family in sorted(first.items())
    ]


def _add(into: dict[Labels, list[float]], family: Family) -> None:
    for labels, values in family.series:
        before = into.get(labels)
        if before is None:
            into[labels] = list(values)
        elif family.merge == "max":
            into[labels] = [max(pair) for pair in zip(before, values, strict=True)]
        else:
            into[labels] = [a + b for a, b in zip(before, values, strict=True)]
