"""vLLM: its own server in its own environment, started and ended by us."""

import http.client
import shutil
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from penstock.core import clock
from penstock.core.errors import Cancelled, ChildFailed, Invalid
from penstock.serving.engines.child import EngineChild, ask, begin, checked_ask, end
from penstock.serving.engines.options import checked, within
from penstock.serving.engines.prometheus import numbers
from penstock.serving.ports import HOST_VARIABLE, Launch, Load

WHAT = "vLLM"
_LOOK_SECONDS = 0.1
_DTYPES = Literal["auto", "half", "float16", "bfloat16", "float", "float32"]


class VllmOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a deployment on vLLM; names follow `vllm serve` (docs.vllm.ai, engine arguments)."""

    program: str = "vllm"
    """The program: a name on the PATH or a path into vLLM's own environment."""
    context: int = 4096
    """--max-model-len: tokens of prompt and answer together."""
    slots: int = 64
    """--max-num-seqs: requests answered at the same time."""
    gpus: int = 1
    """--tensor-parallel-size: GPUs that hold one replica."""
    gpu_memory: float = 0.9
    """--gpu-memory-utilization: share of each GPU's memory it takes."""
    dtype: _DTYPES = "auto"
    """--dtype."""
    quantization: str = ""
    """--quantization; empty: as the model says."""
    adapters: int = 0
    """--max-loras: LoRA adapters used in one batch; 0 switches adapters off."""
    adapter_rank: int = 16
    """--max-lora-rank: highest rank of an adapter."""
    arguments: tuple[str, ...] = ()
    """Further arguments of `vllm serve`, as they are."""
    port: int = 0
    """Loopback port; 0 picks a free one."""

    def __post_init__(self) -> None:
        within(
            self,
            {
                "context": (16, 16_777_216),
                "slots": (1, 65_536),
                "gpus": (1, 64),
                "gpu_memory": (0.01, 1),
                "adapters": (0, 1024),
                "adapter_rank": (1, 512),
                "port": (0, 65_535),
            },
        )


class VllmProcess(EngineChild):
    """A running vLLM behind a guard that ends it with us."""

    WHAT = WHAT
    LOAD_PATH = "/metrics"

    def read_load(self, text: bytes) -> Load:
        """Read vLLM's Prometheus page (docs.vllm.ai, production metrics)."""
        found = numbers(text)
        return Load(
            running=int(found["vllm:num_requests_running"]),
            waiting=int(found["vllm:num_requests_waiting"]),
            done=int(found["vllm:generation_tokens_total"]),
        )

    def add_adapter(self, name: str, folder: Path) -> None:
        """Load the adapter (POST /v1/load_lora_adapter); one of the same name is replaced."""
        self.remove_adapter(name)
        body = {"lora_name": name, "lora_path": str(folder)}
        checked_ask(WHAT, self.url, "POST", "/v1/load_lora_adapter", body)

    def remove_adapter(self, name: str) -> None:
        """Unload the adapter; vLLM answers 400 or 404 for one it does not have."""
        try:
            status, text = ask(self.url, "POST", "/v1/unload_lora_adapter", {"lora_name": name}, timeout=60)
        except (OSError, http.client.HTTPException) as error:
            raise ChildFailed(f"vLLM does not answer: {error or type(error).__name__}.") from error
        if status not in (200, 400, 404):
            raise ChildFailed(
                f"vLLM did not unload {name!r} ({status}): {text[:300].decode(errors='replace')}"
            )


class VllmEngine:
    """The engine `vllm`."""

    ACCEPTS: ClassVar[frozenset[str]] = frozenset({"base", "merged"})
    ADAPTERS: ClassVar[bool] = True
    PRIVILEGED: ClassVar[Mapping[str, Any]] = {"program": "vllm", "arguments": ()}

    def check(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options with defaults; raises Invalid, also when the program is not there."""
        found = checked("vllm", VllmOptions, options)
        if shutil.which(found["program"]) is None:
            raise Invalid(
                f"There is no program {found['program']!r} on this machine.",
                hint="Install vLLM into an environment of its own and give its path: program=/opt/vllm/bin/vllm",
            )
        return found

    def start(self, folder: Path, launch: Launch) -> VllmProcess:
        """Start `vllm serve` and return once its /health says that it is ready."""
        if not (folder / "config.json").exists():
            raise Invalid(f"{folder} holds no config.json, which vLLM needs.")
        port = launch.options["port"] or free_port()
        environment = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"} if launch.options["adapters"] else {}
        message = {
            "command": command(folder, launch, port),
            "environment": environment,
            "url": f"http://127.0.0.1:{port}",
        }
        before = clock.monotonic()
        child, url = begin("guarded_child", message, launch, WHAT)
        process = VllmProcess(child, url, launch.log)
        try:
            _await_health(process, launch, before)
        except BaseException:
            end(child)
            raise
        return process


def command(folder: Path, launch: Launch, port: int) -> list[str]:
    """Return the command line of one replica."""
    options, host = launch.options, launch.extra.get(HOST_VARIABLE, "127.0.0.1")
    program = shutil.which(options["program"]) or options["program"]
    found = [program, "serve", str(folder), "--host", host, "--port", str(port)]
    found += ["--served-model-name", launch.name, "--max-model-len", str(options["context"])]
    found += ["--max-num-seqs", str(options["slots"]), "--tensor-parallel-size", str(options["gpus"])]
    found += ["--gpu-memory-utilization", f"{options['gpu_memory']:g}", "--dtype", options["dtype"]]
    found += ["--uvicorn-log-level", "warning"]
    if options["quantization"]:
        found += ["--quantization", options["quantization"]]
    if options["adapters"]:
        found += ["--enable-lora", "--max-loras", str(options["adapters"])]
        found += ["--max-lora-rank", str(options["adapter_rank"])]
    return [*found, *options["arguments"]]


def free_port() -> int:
    """Return a loopback port that is free now; vLLM cannot pick one and tell it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
    return found


def _await_health(process: VllmProcess, launch: Launch, since: float) -> None:
    pause = threading.Event()
    while True:
        if launch.cancelled():
            raise Cancelled("The start of the engine was cancelled.")
        reason = process.exit_reason()
        if reason is not None:
            raise ChildFailed(f"vLLM could not start: {reason}", hint=f"Log: {launch.log}")
        if clock.monotonic() - since >= launch.timeout:
            raise ChildFailed(
                f"vLLM did not load the model within {launch.timeout:g} seconds.", hint=f"Log: {launch.log}"
            )
        try:
            status, _ = ask(process.url, "GET", "/health", timeout=1.0)
        except (OSError, http.client.HTTPException):
            status = 0  # it does not listen yet
        if status == 200:
            return
        pause.wait(_LOOK_SECONDS)
