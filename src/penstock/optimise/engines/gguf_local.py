"""A GGUF file, timed through llama.cpp (`xllamacpp`).

Plug-in `gguf` of `penstock.runners`. Evaluations ask such files through their own target of that name.
"""

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import xllamacpp

from penstock.core import ids
from penstock.core.errors import Invalid
from penstock.optimise.engines import drive

_ERRORS_ONLY = 1
_CONTEXT = 2048


class GgufRunner:
    """A model in memory. Tokens come out as one piece of text each, which is all that timing needs."""

    provider = "llama.cpp CPU"

    def __init__(self, folder: Path, threads: int) -> None:
        """Load the folder's one file onto the CPU with so many threads."""
        files = sorted(folder.glob("*.gguf"))
        if len(files) != 1:
            raise Invalid(f"{folder} holds {len(files)} GGUF files; one is needed.")
        found = xllamacpp.CommonParams()
        found.model.path = str(files[0])
        found.n_parallel = 1
        found.n_ctx = _CONTEXT
        found.n_gpu_layers = 0
        found.cpuparams.n_threads = threads
        found.cpuparams_batch.n_threads = threads
        found.warmup = False
        found.verbosity = _ERRORS_ONLY
        found.cache_ram_mib = 0
        # The library opens a port of its own; nobody else shall use it.
        found.api_keys = [ids.new_secret("measure")]
        self._server = xllamacpp.Server(found)

    def encode(self, prompt: str) -> str:
        """Return the text; llama.cpp splits it itself."""
        return prompt

    def stream(self, prompt: str, limit: int, *, endless: bool) -> Iterator[int]:
        """Yield tokens as they are computed, by their place in the answer."""
        pieces: queue.SimpleQueue[Any] = queue.SimpleQueue()
        worker = threading.Thread(target=self._generate, args=(prompt, limit, endless, pieces), daemon=True)
        worker.start()
        place = 0
        while (piece := pieces.get()) is not None:
            if isinstance(piece, str):
                raise Invalid(f"llama.cpp refused: {piece}")
            yield place
            place += 1
        worker.join()

    def _generate(self, prompt: str, limit: int, endless: bool, pieces: "queue.SimpleQueue[Any]") -> None:
        def take(chunk: Any) -> None:
            if "choices" not in chunk:
                pieces.put(str(chunk.get("error", chunk))[:500])
            elif chunk["choices"][0].get("finish_reason") is None:
                pieces.put(chunk)

        body = {
            "prompt": prompt,
            "n_predict": limit,
            "stream": True,
            "temperature": 0,
            "top_k": 1,
            "ignore_eos": endless,
            "cache_prompt": False,
        }
        try:
            self._server.handle_completions(body, take)
        except RuntimeError as error:
            pieces.put(str(error))
        finally:
            pieces.put(None)


def run(spec: dict[str, Any], report: drive.Report) -> dict[str, Any]:
    """Time the model."""
    return drive.measure(GgufRunner, spec, report)
