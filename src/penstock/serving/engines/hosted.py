"""What engines have in common whose library has no server of its own: a child that puts ours around it."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from penstock.core.errors import Invalid, MissingExtra
from penstock.serving.engines.child import EngineChild, begin
from penstock.serving.engines.options import checked, within
from penstock.serving.ports import Launch


class HostedOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options that all of them have."""

    threads: int = 1
    """CPU threads that generate."""
    context: int = 4096
    """Most tokens of an answer; the model's own limit holds for prompt and answer together."""
    slots: int = 4
    """Requests answered at the same time: CTranslate2 uses `threads` for each, Transformers takes turns per token."""
    queue: int = 256
    """Requests that may wait; more are refused."""
    port: int = 0
    """Loopback port; 0 picks a free one."""

    def __post_init__(self) -> None:
        within(
            self,
            {
                "threads": (1, 256),
                "context": (1, 1_048_576),
                "slots": (1, 256),
                "queue": (0, 100_000),
                "port": (0, 65_535),
            },
        )


class HostedEngine:
    """Starts `hosted_child` with a backend. Subclasses say which."""

    NAME: ClassVar[str]
    WHAT: ClassVar[str]
    ACCEPTS: ClassVar[frozenset[str]]
    ADAPTERS: ClassVar[bool] = False
    PRIVILEGED: ClassVar[Mapping[str, Any]] = {}
    OPTIONS: ClassVar[type[msgspec.Struct]]
    NEEDS: ClassVar[tuple[tuple[str, str], ...]]
    """(module, extra) pairs without which it cannot run."""
    FILE: ClassVar[str]
    """What the model's folder must hold."""
    PROCESS: ClassVar[type[EngineChild]]

    def check(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options with defaults; raises Invalid, or MissingExtra when a library is not installed."""
        found = checked(self.NAME, self.OPTIONS, options)
        for module, extra in self.NEEDS:
            if importlib.util.find_spec(module) is None:
                raise MissingExtra(extra, f"The engine {self.NAME!r}")
        return found

    def start(self, folder: Path, launch: Launch) -> EngineChild:
        """Start a child on the folder and return once it listens."""
        if not (folder / self.FILE).exists():
            raise Invalid(f"{folder} holds no {self.FILE}, which the engine {self.NAME!r} needs.")
        message = {
            "backend": self.NAME,
            "folder": str(folder),
            "name": launch.name,
            "options": launch.options,
        }
        child, url = begin("hosted_child", message, launch, self.WHAT)
        return self.PROCESS(child, url, launch.log)
