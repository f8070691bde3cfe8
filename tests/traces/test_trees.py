"""One span of a trace is found without reading the others."""

import pytest

from penstock.core import clock
from penstock.core.errors import NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.traces import service
from penstock.traces.store import read
from tests.traces.build import call

TRACE, SECOND = "7" * 32, 10**9


@pytest.fixture(autouse=True)
def _rows_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(row: object) -> object:
        raise AssertionError(f"Read {row!r}.")

    monkeypatch.setattr(read, "span_row", never)


def put(home: Home, actor: Actor, **ends: int) -> dict[str, str]:
    """Store calls that began one second after the other, and end as many seconds after the first began."""
    start = clock.now_ns()
    spans = {}
    for place, (name, end) in enumerate(ends.items()):
        kind, _, said = name.partition("_")
        spans[name] = call(
            trace_id=TRACE,
            parent_id=None if "root" in said else "ab" * 8,
            kind=kind,
            status="error" if "failed" in said else "ok",
            start_ns=start + place * SECOND,
            end_ns=start + end * SECOND,
            model=f"model-{said}" if kind == "llm" else None,
        )
    # The order of arrival says nothing.
    service.ingest(home, actor.scope, list(reversed(spans.values())))
    service.ingest(home, actor.within("other").scope, [call(trace_id=TRACE, model="elsewhere")])
    return {name: span.span_id for name, span in spans.items()}


def test_the_calls_that_did_not_fail(home: Home, actor: Actor) -> None:
    made = put(home, actor, llm_long=8, tool_x=30, llm_short=5, llm_failed=40, llm_too=8)
    with home.read() as uow:
        given = {"trace_id": TRACE}
        assert service.good_calls(uow, actor, **given) == [
            made[one] for one in ("llm_long", "llm_short", "llm_too")
        ]
        assert service.last_call(uow, actor, **given) == made["llm_long"]
        assert service.models_of(uow, actor, **given) == [
            "model-failed",
            "model-long",
            "model-short",
            "model-too",
        ]
        assert service.root_of(uow, actor, **given) is None
        assert service.first_span(uow, actor, **given) == made["llm_long"]


def test_the_root(home: Home, actor: Actor) -> None:
    made = put(home, actor, tool_first=2, agent_root=9, agent_root_too=10, llm_failed=4)
    with home.read() as uow:
        assert service.root_of(uow, actor, trace_id=TRACE) == made["agent_root"]
        assert service.first_span(uow, actor, trace_id=TRACE) == made["tool_first"]
        assert service.last_call(uow, actor, trace_id=TRACE) is None


def test_of_no_trace(home: Home, actor: Actor) -> None:
    with home.read() as uow:
        for verb in (
            service.last_call,
            service.good_calls,
            service.root_of,
            service.first_span,
            service.models_of,
        ):
            for trace_id in ("8" * 32, "x"):
                with pytest.raises(NotFound):
                    verb(uow, actor, trace_id=trace_id)
