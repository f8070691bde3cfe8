"""llama.cpp through `xllamacpp`: GGUF models, one child process per replica."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from penstock.core.errors import Invalid, MissingExtra
from penstock.serving.engines.child import EngineChild, begin
from penstock.serving.engines.options import checked
from penstock.serving.engines.prometheus import number
from penstock.serving.ports import Launch, Load

WHAT = "llama.cpp"


class LlamaCppOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a deployment on llama.cpp."""

    threads: int = 1
    """CPU threads that generate."""
    context: int = 1024
    """Tokens of prompt and answer together, per request."""
    slots: int = 4
    """Requests answered at the same time; memory grows with context x slots."""
    cache: Literal["f16", "f32"] = "f16"
    """Precision of the attention cache; f32 doubles its memory and answers exactly as the weights say."""
    port: int = 0
    """Loopback port; 0 picks a free one, which is what several replicas need."""

    def __post_init__(self) -> None:
        limits = {"threads": (1, 256), "context": (16, 1_048_576), "slots": (1, 256), "port": (0, 65_535)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be between {low} and {high}")


class LlamaCppProcess(EngineChild):
    """A running llama.cpp child."""

    WHAT = WHAT
    LOAD_PATH = "/metrics"

    def read_load(self, text: bytes) -> Load:
        """Read llama.cpp's Prometheus page (tools/server/README.md, GET /metrics)."""
        return Load(
            running=int(number(text, "llamacpp:requests_processing")),
            waiting=int(number(text, "llamacpp:requests_deferred")),
            done=int(number(text, "llamacpp:n_decode_total")),
        )


class LlamaCppEngine:
    """The engine `llamacpp`."""

    ACCEPTS: ClassVar[frozenset[str]] = frozenset({"gguf"})
    ADAPTERS: ClassVar[bool] = False
    PRIVILEGED: ClassVar[Mapping[str, Any]] = {}

    def check(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options with defaults; raises Invalid, or MissingExtra without `xllamacpp`."""
        found = checked("llamacpp", LlamaCppOptions, options)
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtra("serve", "The engine 'llamacpp'")
        return found

    def start(self, folder: Path, launch: Launch) -> LlamaCppProcess:
        """Start a child on the folder's .gguf file and return once it listens."""
        files = sorted(folder.glob("*.gguf"))
        if len(files) != 1:
            raise Invalid(f"{folder} holds {len(files)} .gguf files; llama.cpp needs exactly one.")
        message = {"model": str(files[0]), "name": launch.name, **launch.options}
        child, url = begin("llamacpp_child", message, launch, WHAT)
        return LlamaCppProcess(child, url, launch.log)
