"""What an engine plug-in is (entry-point group `penstock.engines`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

HOST_VARIABLE = "PENSTOCK_ENGINE_HOST"
"""Environment variable with the address that an engine listens on; without it, loopback only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much an engine has to do now, and what it has done since it started."""

    running: int
    """Requests it is answering."""
    waiting: int = 0
    """Requests that wait inside the engine for their turn."""
    done: int = 0
    """A number that grows whenever it has worked: finished requests or tokens, as the engine counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How an engine process shall be started."""

    name: str
    """The model name it answers to."""
    options: dict[str, Any]
    """As `check` returned them."""
    log: Path
    """The file its output goes to."""
    timeout: float
    """Seconds until its address must be known."""
    cancelled: Callable[[], bool]
    """Turns true when it is not wanted any more."""
    gpus: tuple[int, ...] = ()
    """Numbers of the GPUs it may use; empty: none was assigned."""
    extra: dict[str, str] = field(default_factory=dict)
    """Environment variables besides the inherited ones."""

    def environment(self) -> dict[str, str]:
        """Environment variables that keep the process to its GPUs."""
        if not self.gpus:
            return dict(self.extra)
        # CUDA counts the fastest first unless told otherwise; the machine's list counts by the bus.
        numbers = ",".join(str(gpu) for gpu in self.gpus)
        return {"CUDA_VISIBLE_DEVICES": numbers, "CUDA_DEVICE_ORDER": "PCI_BUS_ID", **self.extra}


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

    def load(self) -> Load | None:
        """How busy it is; None when it does not say within two seconds."""
        ...

    def busy(self) -> bool:
        """Whether it is answering somebody right now; True when it does not say."""
        ...

    def add_adapter(self, name: str, folder: Path) -> None:
        """Serve the LoRA adapter in `folder` under `name` too, without a restart.

        Raises Invalid when the engine cannot swap adapters, ChildFailed when it refuses this one.
        """
        ...

    def remove_adapter(self, name: str) -> None:
        """Stop serving the adapter of that name; one it does not have is fine."""
        ...

    def stop(self) -> None:
        """End it now; ending it twice is fine."""
        ...


class Engine(Protocol):
    """Starts engine processes for one model format. Built without arguments; building it does nothing else."""

    ACCEPTS: ClassVar[frozenset[str]]
    """Kinds of registered models it can run."""
    ADAPTERS: ClassVar[bool]
    """Whether its processes can swap LoRA adapters while they run."""
    PRIVILEGED: ClassVar[Mapping[str, Any]]
    """Options with which one could run any program, and the values that everybody may give."""

    def check(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return all options with their defaults; raises Invalid, or MissingExtra when it cannot run here."""
        ...

    def start(self, folder: Path, launch: Launch) -> EngineProcess:
        """Start serving the model in `folder` and return once its address is known.

        Raises ChildFailed with the reason when it ends or is not there in time, Cancelled when it is not wanted any
        more meanwhile; nothing is left running then.
        """
        ...
