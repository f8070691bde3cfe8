"""Targets that run in a child process: samples go in as a file, outputs come back as reports."""

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from penstock.core.children import run_child
from penstock.core.errors import PenstockError
from penstock.evals.model import Output, Sample
from penstock.evals.ports import TargetContext


class ChildTarget:
    """Runs the module plug-in `name` of `penstock.targets` in a child of its own.

    The module's `run(spec, report)` finds the samples (`id`, `messages`) one per line in `spec["samples"]`,
    its options beside it, and calls `report({"outputs": [...]})` with mappings of Output's fields.
    """

    def __init__(self, name: str, options: Mapping[str, Any], context: TargetContext) -> None:
        self._name = name
        self._options = dict(options)
        self._context = context

    def generate(self, samples: Sequence[Sample]) -> Iterator[Sequence[Output]]:
        """Yield outputs as the child reports them; raises what the child raised, Cancelled when stopped."""
        workdir = self._context.workdir
        workdir.mkdir(parents=True, exist_ok=True)
        path = workdir / "samples.jsonl"
        lines = (msgspec.json.encode({"id": s.id, "messages": s.messages}) for s in samples)
        path.write_bytes(b"\n".join(lines) + b"\n")
        found: queue.SimpleQueue[list[Output] | PenstockError | None] = queue.SimpleQueue()
        stop = threading.Event()
        worker = threading.Thread(target=self._drive, args=(str(path), found, stop), daemon=True)
        worker.start()
        try:
            while (item := found.get()) is not None:
                if isinstance(item, PenstockError):
                    raise item
                yield item
        finally:
            stop.set()
            worker.join()

    def _drive(
        self,
        path: str,
        found: "queue.SimpleQueue[list[Output] | PenstockError | None]",
        stop: threading.Event,
    ) -> None:
        def hear(report: dict[str, Any]) -> None:
            if "outputs" in report:
                found.put([msgspec.convert(item, Output) for item in report["outputs"]])

        try:
            run_child(
                "targets",
                self._name,
                {**self._options, "samples": path},
                workdir=self._context.workdir,
                on_progress=hear,
                cancelled=lambda: stop.is_set() or self._context.cancelled(),
            )
        except PenstockError as error:
            found.put(error)
        finally:
            found.put(None)
