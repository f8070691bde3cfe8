"""Stands for `vllm`: takes the arguments that `vllm serve` documents and no others, and answers as its server does.

Run as: python -m tests.fakes.vllm_program serve FOLDER …; started under the name `vllm` by `vllm_path`.
"""

import argparse
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def vllm_path(folder: Path) -> Path:
    """Write an executable called `vllm` into the folder."""
    program = folder / "vllm"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.fakes.vllm_program import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    return program


def parser() -> argparse.ArgumentParser:
    """Arguments of `vllm serve` (docs.vllm.ai, engine arguments and server arguments), those we may use."""
    made = argparse.ArgumentParser(prog="vllm", allow_abbrev=False)
    serve = made.add_subparsers(required=True).add_parser("serve", allow_abbrev=False)
    serve.add_argument("model")
    serve.add_argument("--host")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--served-model-name", nargs="+")
    serve.add_argument("--max-model-len", type=int)
    serve.add_argument("--max-num-seqs", type=int)
    serve.add_argument("--tensor-parallel-size", type=int, default=1)
    serve.add_argument("--gpu-memory-utilization", type=float, default=0.9)
    dtypes = ["auto", "half", "float16", "bfloat16", "float", "float32"]
    serve.add_argument("--dtype", choices=dtypes, default="auto")
    serve.add_argument("--quantization", choices=["awq", "gptq", "fp8", "bitsandbytes"])
    serve.add_argument("--enable-lora", action="store_true")
    serve.add_argument("--max-loras", type=int, default=1)
    serve.add_argument(
        "--max-lora-rank", type=int, default=16, choices=[1, 8, 16, 32, 64, 128, 256, 320, 512]
    )
    levels = ["debug", "info", "warning", "error", "critical", "trace"]
    serve.add_argument("--uvicorn-log-level", choices=levels, default="info")
    serve.add_argument("--enforce-eager", action="store_true")
    return made


class Vllm(ThreadingHTTPServer):
    """Answers for the models it has."""

    daemon_threads = True

    def __init__(self, given: argparse.Namespace) -> None:
        self.names = set(given.served_model_name or [given.model])
        self.swaps = given.enable_lora and os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") == "True"
        self.tokens = 0
        super().__init__((given.host or "0.0.0.0", given.port), Handler)


class Handler(BaseHTTPRequestHandler):
    """The routes of vLLM's OpenAI server that we use."""

    protocol_version = "HTTP/1.1"
    server: Vllm

    def do_GET(self) -> None:
        if self.path == "/health":
            self._say(200, b"")
        elif self.path == "/metrics":
            label = 'engine="0",model_name="m"'
            page = (
                f"vllm:num_requests_running{{{label}}} 0.0\nvllm:num_requests_waiting{{{label}}} 0.0\n"
                f"vllm:generation_tokens_total{{{label}}} {float(self.server.tokens)}\n"
            )
            self._say(200, page.encode(), "text/plain")
        elif self.path == "/environment":
            self._say(200, json.dumps(dict(os.environ)).encode())
        else:
            self._say(404, b"{}")

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/v1/load_lora_adapter" and self.server.swaps:
            if not Path(asked["lora_path"], "adapter_config.json").exists():
                self._say(400, b'{"error": {"message": "no adapter there"}}')
                return
            self.server.names.add(asked["lora_name"])
            self._say(200, b"Success")
        elif self.path == "/v1/unload_lora_adapter" and self.server.swaps:
            known = asked["lora_name"] in self.server.names
            self.server.names.discard(asked["lora_name"])
            self._say(200 if known else 404, b"{}")
        elif self.path == "/v1/completions" and asked["model"] in self.server.names:
            self.server.tokens += 1
            choice = {"index": 0, "text": " hi", "finish_reason": "length"}
            self._say(200, json.dumps({"model": asked["model"], "choices": [choice]}).encode())
        else:
            self._say(404, b'{"error": {"message": "not found"}}')

    def _say(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        return


def main() -> int:
    """Serve until killed: like vLLM, it does not notice when its parent dies."""
    given = parser().parse_args()
    if not Path(given.model, "config.json").exists():
        sys.stderr.write(f"OSError: {given.model} does not appear to have a file named config.json\n")
        return 1
    Vllm(given).serve_forever()
    return 0
