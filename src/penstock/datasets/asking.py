"""Asking a model many times: a few calls at once, within caps, and never the same one twice.

Replies are kept in a file under the step's own hash, so that a run that was killed goes on without paying again.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Self

import msgspec

from penstock.datasets.label_steps import LabelByModel, Synthesise
from penstock.datasets.ports import Model

WORKERS = 8


class _Kept(msgspec.Struct, frozen=True):
    key: str
    text: str


class Asker:
    """Asks on behalf of one step; use it as a context manager."""

    def __init__(
        self, step: LabelByModel | Synthesise, model: Model, replies: Callable[[str], Path] | None
    ) -> None:
        self._step = step
        self._model = model
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="labels")
        self._replies: dict[str, str] = {}
        self._calls = self._reused = self._unpriced = 0
        self._spent = 0.0
        # Caps do not change what is answered: a run with higher ones uses the replies of the run before.
        asked = msgspec.structs.replace(step, max_calls=1, max_cost_usd=0.0)
        name = hashlib.sha256(msgspec.json.encode(asked)).hexdigest()
        path = replies(name) if replies is not None else None
        self._file = path.open("a+b") if path is not None else None
        if self._file is not None:
            self._file.seek(0)
            for line in self._file:
                # The last line of a killed run may be cut off; it is asked again.
                if line.endswith(b"\n"):
                    kept = msgspec.json.decode(line, type=_Kept)
                    self._replies[kept.key] = kept.text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        if self._file is not None:
            self._file.close()
        self._model.close()

    def all(self, asked: Sequence[tuple[str, str, int]]) -> list[str | None]:
        """Return the answers to (system, user, sample) in order; None for what the caps no longer allowed."""
        return list(self._pool.map(self._one, asked))

    def _one(self, asked: tuple[str, str, int]) -> str | None:
        step = self._step
        key = hashlib.sha256(msgspec.json.encode(asked)).hexdigest()
        with self._lock:
            if key in self._replies:
                self._reused += 1
                return self._replies[key]
            if self._calls >= step.max_calls or self._spent >= step.max_cost_usd:
                return None
            self._calls += 1
        system, user, _ = asked
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        reply = self._model.ask(
            step.model, messages, temperature=step.temperature, max_tokens=step.max_tokens
        )
        with self._lock:
            self._spent += reply.cost_usd or 0.0
            self._unpriced += reply.cost_usd is None
            self._replies[key] = reply.text
            if self._file is not None:
                self._file.write(msgspec.json.encode(_Kept(key, reply.text)) + b"\n")
                self._file.flush()
        return reply.text

    def figures(self) -> dict[str, float]:
        """Return calls made, answers used again, calls without a known price, and what was spent."""
        return {
            "calls": self._calls,
            "reused": self._reused,
            "unpriced_calls": self._unpriced,
            "cost_usd": round(self._spent, 6),
        }
