"""Models that run elsewhere: any OpenAI-compatible server, TGI or Triton, behind a small relay of ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import msgspec

from penstock.core.errors import Invalid
from penstock.serving.engines.child import EngineChild, begin
from penstock.serving.engines.options import checked, within
from penstock.serving.ports import Launch


class ExternalOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a deployment on another server."""

    url: str
    """Its address; for OpenAI-compatible servers and TGI with the path before /chat/completions, for example
    https://models.example.com/v1; for Triton the address of its HTTP port."""
    api: Literal["openai", "tgi", "triton-vllm", "triton-trtllm"] = "openai"
    """What it speaks. TGI is asked through its OpenAI-compatible routes, Triton through its generate extension."""
    model: str = ""
    """The model's name there; TGI calls every model tgi."""
    key_env: str = ""
    """Environment variable of Penstock's server that holds the key."""
    timeout: float = 300.0
    """Seconds without a byte after which it counts as gone."""
    slots: int = 256
    """Requests sent there at the same time."""
    queue: int = 1024
    """Requests that may wait; more are refused."""
    context: int = 1_048_576
    """Most tokens of an answer (Triton)."""
    port: int = 0
    """Loopback port of the relay; 0 picks a free one."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError(f"url must be http(s)://HOST[:PORT][/PATH], not {self.url!r}")
        if self.api != "tgi" and not self.model:
            raise ValueError("model is missing: the model's name there")
        within(
            self,
            {
                "timeout": (1, 86_400),
                "slots": (1, 10_000),
                "queue": (0, 100_000),
                "context": (1, 16_777_216),
                "port": (0, 65_535),
            },
        )


class ExternalProcess(EngineChild):
    """A running relay."""

    WHAT = "The relay"


class ExternalEngine:
    """The engine `external`."""

    ACCEPTS: ClassVar[frozenset[str]] = frozenset(
        {"base", "adapter", "merged", "gguf", "onnx", "ctranslate2", "mlflow"}
    )
    ADAPTERS: ClassVar[bool] = False
    PRIVILEGED: ClassVar[Mapping[str, Any]] = {}

    def check(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options with defaults; raises Invalid."""
        found = checked("external", ExternalOptions, options)
        if not found["model"]:
            found["model"] = "tgi"
        return found

    def start(self, folder: Path, launch: Launch) -> EngineChild:
        """Start a relay to the server; the probe for readiness asks the server itself."""
        if not folder.is_dir():
            raise Invalid(f"{folder} is no folder.")
        backend = "triton" if launch.options["api"].startswith("triton") else "relay"
        message = {
            "backend": backend,
            "folder": str(folder),
            "name": launch.name,
            "options": launch.options,
        }
        child, url = begin("hosted_child", message, launch, "The relay")
        return ExternalProcess(child, url, launch.log)
