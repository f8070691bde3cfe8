"""The process that holds llama.cpp: loads one GGUF file, serves it on loopback, and ends with its parent.

Run as: python -m penstock.serving.engines.llamacpp_child
Reads one JSON line from standard input (`model`, `name`, `threads`, `context`, `slots`, `cache`, `port`), writes one to
standard output (`url`, or `error`), then serves until standard input closes, which the kernel does when the parent
dies, however it dies.
"""

import os
import sys
from typing import Any

from penstock.serving.engines.parent import host, read_message, say, wait_for_parent

_ERRORS_ONLY = 1


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


def main() -> int:
    """Serve until the parent is gone; returns the exit code."""
    parent = os.getppid()
    spec = read_message()
    try:
        import xllamacpp

        server = xllamacpp.Server(parameters(spec))
    except (RuntimeError, ImportError) as error:
        say({"error": str(error)})
        return 1
    say({"url": server.listening_address})
    wait_for_parent(parent)
    # llama.cpp's destructor can wait for ever when a request is in flight; there is nothing to save.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
