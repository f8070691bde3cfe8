"""Samples of an evaluation run as rows for people to annotate: plug-in `run` of `penstock.queue_sources`."""

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.evals import service

_PAGE = 200


class RunRows:
    """Yields what a run was asked, what it answered, and how that was scored."""

    KIND = "eval_run"

    @staticmethod
    def rows(home: Home, actor: Actor, ref: str) -> Iterator[Mapping[str, Any]]:
        """Yield the answered samples of the run `ref` in order, without those whose target failed."""
        after = -1
        while True:
            with home.read() as uow:
                page = service.samples(uow, actor, ref, after=after, limit=_PAGE)
            for one in page:
                after = one.ordinal
                if one.output.error is None:
                    yield {
                        "id": one.sample_id,
                        "messages": [dict(message) for message in one.messages],
                        "output": one.output.text,
                        "reference": one.references[0] if one.references else None,
                        "scores": dict(one.scores),
                    }
            if len(page) < _PAGE:
                return
