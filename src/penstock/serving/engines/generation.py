"""What a request asks of a model, as a backend gets it, and the text that comes out of it piece by piece."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

TokenSink = Callable[[int], bool]
"""Takes a token; returns False when no more are wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are chosen. Temperature 0 takes the likeliest."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    """0: no limit."""
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(slots=True)
class Job:
    """One request on its way through the engine."""

    prompt: str
    sampling: Sampling
    adapter: str | None = None
    """Name of the LoRA adapter that shall answer; None: the model itself."""
    cancelled: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a generation ended."""

    finish: str
    """stop or length."""
    prompt_tokens: int | None
    """None when nobody counted."""
    completion_tokens: int | None


class Refused(Exception):
    """The request cannot be answered as it is; the caller is told why with the status 400."""


class Backend(Protocol):
    """A loaded model. `generate` is called from several threads."""

    def chat_prompt(self, messages: Sequence[dict[str, str]]) -> str:
        """Render messages with the model's chat template, ready for the answer; raises Refused without one."""
        ...

    def generate(self, job: Job, emit: Callable[[str], None]) -> Outcome:
        """Answer `job`, handing text to `emit` as it comes; ends early when it is cancelled. Raises Refused."""
        ...

    def add_adapter(self, name: str, folder: str) -> None:
        """Load a LoRA adapter; raises Refused where that is not possible."""
        ...

    def remove_adapter(self, name: str) -> None:
        """Unload an adapter; one it does not have is fine."""
        ...


class NoAdapters:
    """The part of a backend that cannot take adapters."""

    def add_adapter(self, _name: str, _folder: str) -> None:
        """Raise Refused."""
        raise Refused("This engine cannot take adapters while it runs; deploy a merged model.")

    def remove_adapter(self, _name: str) -> None:
        """Do nothing: it has none."""


class Cutter:
    """Passes text on up to the first stop string, holding back what may become one."""

    def __init__(self, stops: Sequence[str], emit: Callable[[str], None]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._keep = max((len(stop) for stop in self._stops), default=1) - 1
        self._emit = emit
        self._held = ""
        self.hit = False
        """Whether a stop string came."""

    def feed(self, text: str) -> None:
        """Take more text."""
        if self.hit:
            return
        self._held += text
        found = [at for at in (self._held.find(stop) for stop in self._stops) if at >= 0]
        if found:
            self.hit = True
            self._pass(min(found))
            self._held = ""
        else:
            self._pass(len(self._held) - self._keep)

    def finish(self) -> None:
        """Pass on what was held back."""
        if not self.hit:
            self._pass(len(self._held))

    def _pass(self, length: int) -> None:
        if length > 0:
            self._emit(self._held[:length])
            self._held = self._held[length:]
