"""A GGUF file as a target: llama.cpp inside a child process, by `xllamacpp`.

Run in a child by evals (`penstock.targets`, name `gguf`); options: `folder` (a folder with one GGUF file, or the file
itself), `max_tokens`, `threads`, `context` (tokens per sample), `parallel` (samples decoded together).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from penstock.core import clock, ids
from penstock.core.errors import Invalid
from penstock.evals.targets.transformers_local import check_options, read_samples

_OPTIONS = {"samples", "folder", "max_tokens", "threads", "context", "parallel", "name"}


def find_gguf(folder: str) -> Path:
    """Return the one GGUF file that `folder` is or holds; raises Invalid when there is none or several."""
    path = Path(folder)
    found = [path] if path.is_file() else sorted(path.glob("*.gguf"))
    if len(found) != 1:
        raise Invalid(f"{folder} holds {len(found)} GGUF files; one is needed.", hint="Name the file itself.")
    return found[0]


def _server(spec: dict[str, Any], parallel: int) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(find_gguf(spec["folder"]))
    params.n_parallel = parallel
    params.n_ctx = int(spec.get("context", 2048)) * parallel
    params.cpuparams.n_threads = int(spec.get("threads", 1))
    params.cpuparams_batch.n_threads = int(spec.get("threads", 1))
    params.warmup = False
    # The library opens a port of its own; nobody else shall use it.
    params.api_keys = [ids.new_secret("eval")]
    return xllamacpp.Server(params)


def _ask(server: Any, sample: dict[str, Any], max_tokens: int) -> dict[str, Any]:
    began = clock.monotonic()
    body = {"messages": sample["messages"], "max_tokens": max_tokens, "temperature": 0, "top_k": 1, "seed": 0}
    decoded = server.handle_chat_completions(body)
    if "choices" not in decoded:
        error = decoded.get("error") or decoded
        return {"sample_id": sample["id"], "error": str(error.get("message") or error)[:500]}
    choice, usage = decoded["choices"][0], decoded.get("usage") or {}
    return {
        "sample_id": sample["id"],
        "text": choice["message"].get("content") or "",
        "latency_s": clock.monotonic() - began,
        "input_tokens": usage.get("prompt_tokens"),
        "output_tokens": usage.get("completion_tokens"),
        "finish_reason": choice.get("finish_reason") or "",
    }


def run(spec: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Answer every sample of `spec["samples"]`, reporting each one as it is finished."""
    check_options(spec, _OPTIONS)
    samples = read_samples(spec["samples"])
    parallel = int(spec.get("parallel", 4))
    server = _server(spec, parallel)
    with ThreadPoolExecutor(parallel) as pool:
        asked = [pool.submit(_ask, server, sample, int(spec.get("max_tokens", 256))) for sample in samples]
        for done in as_completed(asked):
            report({"outputs": [done.result()]})
    return {"answered": len(samples)}
