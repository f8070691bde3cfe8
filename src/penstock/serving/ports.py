"""What an engine plug-in is (entry-point group `penstock.engines`)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Protocol


class EngineProcess(Protocol):
    """One running engine: an OpenAI-compatible server on loopback. It ends when the process that started it dies."""

    @property
    def url(self) -> str:
        """Address without path, for example http://127.0.0.1:40123."""
        ...

    @property
    def pid(self) -> int | None:
        """Its process id; None when it has no process of its own."""
        ...

    def exit_reason(self) -> str | None:
        """None while it runs, else one sentence on why it ended."""
        ...

    def busy(self) -> bool:
        """Whether it is answering somebody right now; True when it does not say."""
        ...

    def stop(self) -> None:
        """End it now; ending it twice is fine."""
        ...


class Engine(Protocol):
    """Starts engine processes for one model format. Built without arguments; building it does nothing else."""

    ACCEPTS: ClassVar[frozenset[str]]
    """Kinds of registered models it can run."""

    def check(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return all options with their defaults; raises Invalid, or MissingExtra when it cannot run here."""
        ...

    def start(
        self,
        folder: Path,
        *,
        name: str,
        options: dict[str, Any],
        log: Path,
        timeout: float,
        cancelled: Callable[[], bool],
    ) -> EngineProcess:
        """Start serving the model in `folder` under `name` and return once its address is known.

        Its output goes to the file `log`. Raises ChildFailed with the reason when it ends or is not there within
        `timeout` seconds, Cancelled when `cancelled()` turns true meanwhile; nothing is left running then.
        """
        ...
