"""The Protocol of feedback's plug-ins."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from penstock.core.home import Home
from penstock.core.scope import Actor


class QueueSource(Protocol):
    """Where rows of annotation queues can come from beside datasets: group `penstock.queue_sources`."""

    KIND: str
    """What its refs are in lineage, such as `eval_run`."""

    @staticmethod
    def rows(home: Home, actor: Actor, ref: str) -> Iterator[Mapping[str, Any]]:
        """Yield rows with `id`, and as far as there are some `messages`, `output` and `reference`.

        The caller may stop early. Raises NotFound for an unknown `ref`, Denied for who may not read it.
        """
        ...
