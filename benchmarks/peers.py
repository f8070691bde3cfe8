"""Other gateways, each in an environment of its own, so that they can be measured beside Penstock in one run.

They are installed from PyPI on first use into a folder (default ~/.cache/penstock-peers) and never into Penstock's
environment. LiteLLM runs as its proxy with one worker and no database; TensorZero is the Rust gateway inside its wheel,
with observability off. Bifrost, agentgateway and Kong ship binaries that PyPI and npm do not hold; Portkey's package
listens on all interfaces and cannot be told otherwise, so that it is not started here.
"""

import os
import socket
import subprocess
import sys
import time
import venv
from pathlib import Path

FOLDER = Path(os.environ.get("PENSTOCK_PEERS", "~/.cache/penstock-peers")).expanduser()
MODELS = ("fast", "s50x20", "s400x0")
KEY = "sk-bench"
LITELLM = """
general_settings: {{master_key: {key}}}
model_list:
"""
LITELLM_MODEL = """  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: "http://127.0.0.1:{mock}/v1", api_key: sk-mock}}
"""
TENSORZERO = """
[gateway]
observability.enabled = false
"""
TENSORZERO_MODEL = """
[models.{model}]
routing = ["mock"]
[models.{model}.providers.mock]
type = "openai"
model_name = "{model}"
api_base = "http://127.0.0.1:{mock}/v1/"
api_key_location = "none"
"""
TENSORZERO_SERVER = """
import asyncio, sys, warnings, openai, tensorzero
warnings.simplefilter("ignore")
async def main():
    client = openai.AsyncOpenAI(api_key="x", base_url="http://x")
    await tensorzero.patch_openai_client(client, config_file=sys.argv[1], async_setup=True)
    print(client.base_url, flush=True)
    await asyncio.sleep(1800)
asyncio.run(main())
"""


def environment(name: str, *packages: str) -> Path:
    """Return the Python of the environment `name`, made and filled on first use."""
    python = FOLDER / name / "bin" / "python"
    if not (FOLDER / name / "installed").exists():
        venv.create(FOLDER / name, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--upgrade", "pip", "uv"], check=True)
        subprocess.run(
            [str(python), "-m", "uv", "pip", "install", "--quiet", "--python", str(python), *packages],
            check=True,
        )
        (FOLDER / name / "installed").touch()
    return python


def version(python: Path, package: str) -> str:
    """Return the installed version of `package`."""
    command = [str(python), "-c", f"import importlib.metadata as m; print(m.version({package!r}))"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Peer:
    """A running gateway: `port`, `path` of chat completions, `key`, and how it names a model."""

    def __init__(self, name: str, process: subprocess.Popen, port: int, path: str, prefix: str = "") -> None:
        self.name, self.process, self.port, self.path, self.prefix = name, process, port, path, prefix
        self.key = KEY


def _pinned(core: int, command: list[str], **more: object) -> subprocess.Popen:
    return subprocess.Popen(["taskset", "-c", str(core), *command], **more)


def start_litellm(folder: Path, mock: int, core: int, port: int) -> Peer:
    """Start LiteLLM's proxy."""
    python = environment("litellm", "litellm[proxy]")
    config = folder / "litellm.yaml"
    models = "".join(LITELLM_MODEL.format(model=model, mock=mock) for model in MODELS)
    config.write_text(LITELLM.format(key=KEY) + models)
    command = [
        str(python.with_name("litellm")),
        "--config",
        str(config),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "LITELLM_LOG": "ERROR"}
    process = _pinned(
        core,
        [*command, "--num_workers", "1"],
        env=os.environ | quiet,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _wait(port, 120)
    return Peer(f"litellm {version(python, 'litellm')}", process, port, "/v1/chat/completions")


def start_tensorzero(folder: Path, mock: int, core: int) -> Peer:
    """Start TensorZero's gateway; it chooses its port."""
    python = environment("tensorzero", "tensorzero", "openai")
    config, server = folder / "tensorzero.toml", folder / "tensorzero_server.py"
    config.write_text(
        TENSORZERO + "".join(TENSORZERO_MODEL.format(model=model, mock=mock) for model in MODELS)
    )
    server.write_text(TENSORZERO_SERVER)
    process = _pinned(
        core,
        [str(python), str(server), str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    url = next((line for line in process.stdout if line.startswith("http")), "")
    if not url:
        sys.exit("TensorZero did not start")
    port = int(url.split(":")[2].split("/")[0])
    path = "/openai/v1/chat/completions"
    return Peer(
        f"tensorzero {version(python, 'tensorzero')}", process, port, path, "tensorzero::model_name::"
    )


def _wait(port: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"nothing listens on {port}")
