"""A run of somebody's own trainer while it goes on: what it logs, and how that leaves the program.

Nothing here raises into the program: what the server refuses is said once in the log (`penstock.sdk`) and counted.
"""

import hashlib
import re
from pathlib import Path
from types import TracebackType
from typing import Any

from penstock.sdk import clock
from penstock.sdk.errors import ApiError, ConnectionFailed
from penstock.sdk.quiet import harmless, logger, unharmed, warn_once
from penstock.sdk.run_acts import DATASET
from penstock.sdk.run_files import found_in, passing
from penstock.sdk.run_outbox import EXIT_PATIENCE, Later, Outbox
from penstock.sdk.run_spool import Act

NOTE = "mlflow.note.content"
"""The tag that holds a run's note, as MLflow's client knows it."""
LONGEST_NAME = 250
"""Characters of a metric's name."""
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f\\]")
_NS_PER_MS = 1_000_000
_CHUNK = 1 << 20


class TrackedRun:
    """A run that is going on; as a context manager it ends as finished, or failed when the block raises.

    Values are sent by a thread, about once a second; files when they are logged. While the server is away all of it
    waits in a folder (PENSTOCK_SPOOL), and is sent once it is back, if need be by the next program that tracks a run.
    """

    def __init__(self, outbox: Outbox, name: str) -> None:
        self._outbox = outbox
        self._name = name
        self._ended = False

    @property
    def id(self) -> str:
        """The run's id; empty as long as the server has not answered."""
        return self._outbox.telling.run_id

    @property
    def name(self) -> str:
        """The run's name, the server's once it has answered."""
        return self._outbox.telling.name or self._name

    @property
    def dropped(self) -> int:
        """How many values this run has lost: too many waited, or the server refused them."""
        return self._outbox.dropped

    @harmless
    def log(self, /, step: int = 0, **metrics: float) -> "TrackedRun":
        """Add values of a step."""
        at = clock.now_ns() // _NS_PER_MS
        values = [
            {"key": _name(key), "value": float(value), "step": int(step), "at_ms": at}
            for key, value in metrics.items()
        ]
        return self._tell({"do": "change", "metrics": values})

    @harmless
    def params(self, /, **params: Any) -> "TrackedRun":
        """Add parameters; each keeps its first value."""
        return self._tell({"do": "change", "params": {key: str(value) for key, value in params.items()}})

    @harmless
    def tags(self, /, **tags: Any) -> "TrackedRun":
        """Set tags."""
        return self._tell({"do": "change", "tags": {key: str(value) for key, value in tags.items()}})

    @harmless
    def note(self, text: str) -> "TrackedRun":
        """Replace the note on the run (Markdown)."""
        return self._tell({"do": "change", "tags": {NOTE: text}})

    @harmless
    def dataset(self, source: str | Path, *, role: str = "training", name: str = "") -> "TrackedRun":
        """Say what the run reads: a version of ours (`tickets@3`, `tickets@tag`), or a file, told by its SHA-256.

        `role` is what it is read for: training, validation, test …
        """
        told: Act = {"do": "dataset", "name": name, "digest": "", "source": str(source), "kind": DATASET}
        if isinstance(source, Path):
            place = source.resolve()
            told |= {
                "kind": "local",
                "source": str(place),
                "name": name or place.name,
                "digest": _digest(place),
            }
        return self._tell({**told, "role": role})

    @harmless
    def artifact(self, source: str | Path, name: str = "") -> "TrackedRun":
        """Store a file or everything in a folder below the run; `name` is its path there (the source's own name)."""
        self._stored(Path(source), name)
        return self

    @harmless
    def text(self, text: str, name: str) -> "TrackedRun":
        """Store a text as the artifact `name`."""
        return self._tell({"do": "text", "path": name, "text": text})

    @unharmed
    def model(self, folder: str | Path, name: str = "", *, path: str = "model") -> str:
        """Store a model's folder (or file) as the artifact `path` and, with a `name`, register it as a version of that.

        Returns the version, such as `triage@3`; empty without a name, and where the server has yet to be told. A model
        of which a file could not be stored is not registered.
        """
        source = Path(folder)
        whole = self._stored(source, path if source.is_dir() else f"{path}/{source.name}")
        if not name:
            return ""
        if not whole:
            logger.warning("%s is not registered as %s: not all of it could be stored", source, name)
            return ""
        act = {"do": "register", "name": name, "path": path}
        if self.id and not self._outbox.failing:
            try:
                return self._outbox.telling.register(name, path)
            except (ApiError, ConnectionFailed) as error:
                if not passing(error):
                    raise
        self._tell(act)
        return ""

    def later(self, acts: Later) -> None:
        """Find something out, and log it, in the thread that sends."""
        self._outbox.put(acts)

    def flush(self, timeout: float = EXIT_PATIENCE) -> bool:
        """Wait until the server knows all; return whether that happened in `timeout` seconds."""
        return self._outbox.flush(timeout)

    @harmless
    def end(self, status: str = "finished") -> "TrackedRun":
        """End the run: finished, failed or killed. Waits ten seconds at most for what is still to be sent."""
        if not self._ended:
            self._tell({"do": "change", "status": status})
            self._ended = True
            self._outbox.close()
        return self

    def _tell(self, act: Act) -> "TrackedRun":
        if self._ended:
            warn_once(
                f"ended:{self.id}", "run %s has ended: what is logged now is lost", self.id or self.name
            )
        else:
            self._outbox.put(act)
        return self

    def _stored(self, source: Path, name: str) -> bool:
        """Store a file or folder; returns False when something of it is lost."""
        left_out: list[Path] = []
        kept = [self._store(file, path) for file, path in found_in(source, name, left_out)]
        return all(kept) and not left_out

    def _store(self, file: Path, path: str) -> bool:
        """Upload a file now, or keep a copy where the server is away; returns False when it is lost."""
        outbox = self._outbox
        if self._ended or outbox.refused:
            self._tell({"do": "file", "path": path, "source": str(file)})
            return False
        if self.id and not outbox.failing:
            try:
                outbox.telling.file(path, str(file))
            except (ApiError, ConnectionFailed) as error:
                if not passing(error):
                    logger.warning("%s is not logged with run %s: %s", file, self.id, error)
                    return False
            else:
                return True
        kept = outbox.keep(file)
        if kept is None:
            logger.warning(
                "%s is not logged: the server is away, and there is no room to keep a copy of it", file
            )
            return False
        self._tell({"do": "file", "path": path, "source": str(kept)})
        return True

    def __enter__(self) -> "TrackedRun":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stopped = kind is not None and not issubclass(kind, Exception)
        self.end("finished" if kind is None else "killed" if stopped else "failed")


def _name(key: str) -> str:
    """Return a metric's name; raises ValueError for one that the server would refuse, with all that is sent beside."""
    if not 1 <= len(key) <= LONGEST_NAME or _NOT_IN_NAMES.search(key):
        raise ValueError(
            f"{key[:60]!r} is not a name for a metric: use 1 to {LONGEST_NAME} plain characters."
        )
    return key


def _digest(file: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of a folder's files."""
    whole = hashlib.sha256()
    for path, name in found_in(file, ""):
        if file.is_dir():
            whole.update(name.partition("/")[2].encode() + b"\0")
        with path.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                whole.update(chunk)
    return whole.hexdigest()
