"""The process that holds llama.cpp: loads one GGUF file, serves it on loopback, and ends with its parent.

Run as: python -m penstock.serving.engines.llamacpp_child
Reads one JSON line from standard input (`model`, `name`, `threads`, `context`, `slots`, `cache`, `port`), writes one to
standard output (`url`, or `error`), then serves until standard input closes, which the kernel does when the parent
dies, however it dies.
"""

import os
import sys
import threading
from typing import Any, NoReturn

from penstock.core import clock
from penstock.serving.engines.parent import host, read_message, say, wait_for_parent

_ERRORS_ONLY = 1
_SILENCE_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 1.5
"""Less than the parent waits for the end, and with it for the log."""


def parameters(spec: dict[str, Any]) -> Any:
    """Return llama.cpp's parameters for a start message."""
    import xllamacpp

    found = xllamacpp.CommonParams()
    found.model.path = spec["model"]
    found.model_alias = {spec["name"]}
    found.hostnames = [host()]
    found.port = spec["port"]
    found.n_ctx = spec["context"] * spec["slots"]
    found.n_parallel = spec["slots"]
    found.cpuparams.n_threads = spec["threads"]
    found.cpuparams_batch.n_threads = spec["threads"]
    kind = xllamacpp.ggml_type.GGML_TYPE_F32 if spec["cache"] == "f32" else xllamacpp.ggml_type.GGML_TYPE_F16
    found.cache_type_k = found.cache_type_v = kind
    # A kept-alive connection holds a thread: with few of them, waiting callers would block looks at the load.
    found.n_threads_http = spec["slots"] + 64
    found.cache_ram_mib = 0
    found.ui = False
    found.endpoint_props = False
    found.endpoint_slots = False
    found.endpoint_metrics = True
    # Pages on other addresses must not read this server through a visitor's browser.
    found.cors_origins = "http://127.0.0.1"
    found.verbosity = _ERRORS_ONLY
    return found


def main() -> NoReturn:
    """Serve until the parent is gone."""
    parent = os.getppid()
    spec = read_message()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        import xllamacpp

        server = xllamacpp.Server(parameters(spec))
        say({"url": server.listening_address})
    except BrokenPipeError:
        _leave(1)  # the parent died while the model was loading
    except Exception as error:  # noqa: BLE001 - whatever it is, the person who deploys is told
        say({"error": str(error) if isinstance(error, RuntimeError) else f"{type(error).__name__}: {error}"})
        _wait_for_log()
        _leave(1)
    while True:
        threading.Event().wait()


def _end_with(parent: int) -> None:
    wait_for_parent(parent)
    _leave(0)


def _wait_for_log() -> None:
    """Let llama.cpp's own thread write why it failed, which it cannot be asked for: until the log is silent."""
    moment = clock.monotonic()
    last, since, until = _log_bytes(), moment, moment + _LONGEST_WAIT_SECONDS
    while moment < min(since + _SILENCE_SECONDS, until):
        threading.Event().wait(0.05)
        moment, now = clock.monotonic(), _log_bytes()
        if now != last:
            last, since = now, moment


def _log_bytes() -> int:
    return os.fstat(sys.stderr.fileno()).st_size


def _leave(code: int) -> NoReturn:
    """End without llama.cpp's destructor, which can wait for ever when a request is in flight or a model loads."""
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
