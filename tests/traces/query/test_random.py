"""Random traces asked for phrases and alternatives, page by page, against a filter that reads every span."""

import json
import random
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import event

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.stopping import Stop
from penstock.traces import background, service
from penstock.traces.model import SpanRecord, TraceFilters, TracePage
from penstock.traces.store import covers, hitting, search, terms
from penstock.traces.store.deadline import Deadline
from penstock.traces.words import marked, of_document
from tests.traces.build import call

WORDS = ("refund", "policy", "straße", "strasse", "file", "ﬁle", "über", "a", "n", "Kelvin", "o")
PARTS = (" ", ", ", "\n", '"', "\\", " – ", "_", "\t", "ä ", "\u0001")
PHRASES = (
    "refund policy",
    "policy refund",
    "a refund",
    "n a",
    "strasse file",
    "über a",
    "o kelvin a",
    "file file",
)


def _text(rng: random.Random) -> str:
    return "".join(rng.choice(WORDS) + rng.choice(PARTS) for _ in range(rng.randrange(1, 7)))


def _document(rng: random.Random) -> bytes:
    """Return a JSON document: one text or several, as written by encoders that escape more and less."""
    said: Any = _text(rng)
    if rng.random() < 0.4:
        said = [{"role": "refund", "content": _text(rng)} for _ in range(rng.randrange(1, 4))]
    if rng.random() < 0.3:
        return re.sub(rb"[^\x00-\x7f]", b"?", msgspec.json.encode(said))
    if rng.random() < 0.3:
        return json.dumps(said).encode()
    return msgspec.json.encode(said) if rng.random() < 0.9 else b"{broken " + _text(rng).encode()


def _spans(rng: random.Random, now: int, count: int) -> list[SpanRecord]:
    """Return the spans of traces in the order in which they arrive: those of a trace not always together."""
    made: list[tuple[float, SpanRecord]] = []
    for number in range(count):
        # Some begin at the same time.
        first = call(start_ns=now - rng.randrange(count // 2) * 60 * 10**9, name=_text(rng)[:60])
        for place in range(rng.randrange(1, 4)):
            failed = rng.random() < 0.3
            span = msgspec.structs.replace(
                first,
                span_id=first.span_id if place == 0 else call().span_id,
                parent_id=None if place == 0 else first.span_id,
                end_ns=first.start_ns + rng.randrange(1, 100) * 10**8,
                user=rng.choice(("ada", "bob", "eve", None)) if place == 0 else None,
                tags=tuple(rng.sample(("x", "y", "z"), rng.randrange(3))),
                model=rng.choice(("m1", "m2", "m3")),
                status="error" if failed else "ok",
                error=_text(rng) if failed else None,
                input=_document(rng),
                output=_document(rng),
            )
            made.append((number + rng.randrange(2) * rng.random() * 20 * place, span))
    return [span for _, span in sorted(made, key=lambda one: one[0])]


def _texts(span: SpanRecord) -> dict[str, str]:
    return {
        "name": span.name,
        "error": span.error or "",
        "input": of_document(span.input),
        "output": of_document(span.output),
    }


def _says(span: SpanRecord, phrase: str, *fields: str) -> bool:
    wanted = phrase.split()
    for field, text in _texts(span).items():
        words = re.findall(r"[^\W_]+", text.casefold())
        runs = (words[start : start + len(wanted)] for start in range(len(words)))
        if (not fields or field in fields) and any(run == wanted for run in runs):
            return True
    return False


def _pages(home: Home, actor: Actor, query: str, limit: int) -> list[str]:
    ids: list[str] = []
    after = None
    while True:
        page = _page(home, actor, query, limit=limit, after=after)
        ids += [item.trace_id for item in page.items]
        assert len(page.items) <= limit
        after = page.next
        if after is None:
            return ids


def _page(home: Home, actor: Actor, query: str, **given: Any) -> TracePage:
    with home.read() as uow:
        return service.list_traces(uow, actor, filters=TraceFilters(query=query), **given)


@pytest.fixture
def arrived(home: Home, actor: Actor) -> list[SpanRecord]:
    rng = random.Random(5)
    spans = _spans(rng, clock.now_ns(), 120)
    for start in range(0, len(spans), 25):
        service.ingest(home, actor.scope, spans[start : start + 25])
    service.ingest(home, actor.within("other").scope, _spans(rng, clock.now_ns(), 5))
    background.catch_up(home)
    return spans


@pytest.fixture(params=[4000, 3], ids=["listed", "walked"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Make 120 traces behave as few or as many; says whether as many."""
    for module in (search, terms, covers):
        monkeypatch.setattr(module, "RARE", request.param)
    monkeypatch.setattr(search, "RARE_WORDS", request.param)
    monkeypatch.setattr(search, "_CHUNK", 4)
    monkeypatch.setattr(search, "_LOOKED_INTO", 16)
    monkeypatch.setattr(covers, "_FIRST", 4)
    for name, value in (("_FIRST", 4), ("_LEAST", 1), ("_MOST", 8), ("_SOUGHT", 5), ("_STRETCH", 1)):
        monkeypatch.setattr(hitting, name, value)
    return bool(request.param == 3)


def test_phrases_are_found_exactly(home: Home, actor: Actor, arrived: list[SpanRecord], small: bool) -> None:
    with home.read() as uow:
        rows = uow.conn.exec_driver_sql("SELECT span_id, id FROM traces_spans").all()
    row = {bytes(name).hex(): number for name, number in rows}
    for phrase in PHRASES:
        for query, fields in (
            (f'"{phrase}"', ()),
            (f'output:"{phrase}"', ("output",)),
            (f'error:"{phrase}"', ("error",)),
        ):
            newest: dict[str, int] = {}
            for span in arrived:
                if _says(span, phrase, *fields):
                    newest[span.trace_id] = max(row[span.span_id], newest.get(span.trace_id, 0))
            ids = _pages(home, actor, query, 7)
            assert sorted(ids) == sorted(newest), query
            if small and len(newest) > 7:
                assert ids == sorted(newest, key=lambda one: -newest[one]), query
            with home.read() as uow:
                bars = service.histogram(uow, actor, filters=TraceFilters(query=query), buckets=5)
            assert sum(bar.traces for bar in bars) == len(newest), query


Holds = Callable[[list[SpanRecord]], bool]


def _tagged(*wanted: str) -> Holds:
    return lambda spans: set(wanted) <= {tag for span in spans for tag in span.tags}


def _failed(spans: list[SpanRecord]) -> bool:
    return any(span.status == "error" for span in spans)


def _took(spans: list[SpanRecord]) -> int:
    return max(span.end_ns for span in spans) - min(span.start_ns for span in spans)


def _of(*users: str) -> Holds:
    return lambda spans: any(span.user in users for span in spans)


ALTERNATIVES: dict[str, Holds] = {
    "(status:error tag:x) OR latency>9s": lambda t: (_failed(t) and _tagged("x")(t)) or _took(t) > 9e9,
    "user:(ada OR bob)": _of("ada", "bob"),
    "user:ada OR tag:z": lambda t: _of("ada")(t) or _tagged("z")(t),
    "tag:y (user:ada OR (tag:z status:error))": lambda t: (
        _tagged("y")(t) and (_of("ada")(t) or (_tagged("z")(t) and _failed(t)))
    ),
    "(user:eve OR tag:x) -status:error": lambda t: (_of("eve")(t) or _tagged("x")(t)) and not _failed(t),
    '(user:eve OR tag:x) "refund policy"': lambda t: (
        (_of("eve")(t) or _tagged("x")(t)) and any(_says(span, "refund policy") for span in t)
    ),
    '"a refund" OR latency>9s': lambda t: _took(t) > 9e9 or any(_says(span, "a refund") for span in t),
    "(user:ada OR user:bob) model:m1 model:m2": lambda t: (
        _of("ada", "bob")(t) and {"m1", "m2"} <= {span.model for span in t}
    ),
    "user:ada OR tokens>1M": _of("ada"),
    "user:nobody OR latency>1h": lambda _: False,
    "tag:x": _tagged("x"),
    "model:m1 tag:y": lambda t: _tagged("y")(t) and any(span.model == "m1" for span in t),
    "latency>5s status:ok": lambda t: _took(t) > 5e9 and not _failed(t),
}


def test_alternatives_are_found_in_the_order_of_lists(
    home: Home, actor: Actor, arrived: list[SpanRecord], small: bool
) -> None:
    traces: dict[str, list[SpanRecord]] = {}
    for span in arrived:
        traces.setdefault(span.trace_id, []).append(span)
    everything = _pages(home, actor, "", 50)
    assert sorted(everything) == sorted(traces)
    for query, holds in ALTERNATIVES.items():
        wanted = [one for one in everything if holds(traces[one])]
        found = _pages(home, actor, query, 7)
        if small and '"' in query and "OR tag" in query:
            assert sorted(found) == sorted(wanted), query  # pages of frequent words follow the words
        else:
            assert found == wanted, query
        with home.read() as uow:
            bars = service.histogram(uow, actor, filters=TraceFilters(query=query), buckets=9)
        failed = [one for one in wanted if _failed(traces[one])]
        assert (sum(bar.traces for bar in bars), sum(bar.errors for bar in bars)) == (
            len(wanted),
            len(failed),
        ), query


def test_alternatives_read_only_as_far_as_the_page(
    home: Home, actor: Actor, arrived: list[SpanRecord], small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    meeting = search.Search.meeting

    def counted(self: search.Search, rows: Any) -> Any:
        tried.extend(rows)
        return meeting(self, rows)

    monkeypatch.setattr(search.Search, "meeting", counted)
    assert len(_page(home, actor, "(user:ada tag:x) OR (user:bob tag:x)", limit=2).items) == 2
    if small:
        assert 0 < len(tried) < 40


def test_a_phrase_looks_into_no_more_than_it_needs(
    home: Home, actor: Actor, arrived: list[SpanRecord], small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Any] = []
    read = hitting.looked
    monkeypatch.setattr(hitting, "looked", lambda *row: looked.append(row) or read(*row))
    assert len(_page(home, actor, '"refund policy"', limit=2).items) == 2
    holding = sum(
        {"refund", "policy"} <= set(re.findall(r"[^\W_]+", "\n".join(_texts(s).values()))) for s in arrived
    )
    if small:
        assert 0 < len(looked) < holding


def _saying(phrase: str, *fields: str) -> Holds:
    return lambda spans: any(_says(span, phrase, *fields) for span in spans)


WORDS_OF: dict[str, tuple[Holds, Holds]] = {
    "refund user:ada": (_saying("refund"), _of("ada")),
    "kelvin tag:x": (_saying("kelvin"), _tagged("x")),
    "output:refund user:bob": (_saying("refund", "output"), _of("bob")),
    '"a refund" tag:y': (_saying("a refund"), _tagged("y")),
    "file user:eve status:error": (_saying("file"), lambda spans: _of("eve")(spans) and _failed(spans)),
    "nowhere user:ada": (_saying("nowhere"), _of("ada")),
}


def test_words_of_a_user_or_tag_are_found_without_asking_the_index_span_by_span(
    home: Home, actor: Actor, arrived: list[SpanRecord], small: bool
) -> None:
    traces: dict[str, list[SpanRecord]] = {}
    for span in arrived:
        traces.setdefault(span.trace_id, []).append(span)
    asked: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(home.db.engine, "before_cursor_execute", note)
    try:
        for query, (says, meets) in WORDS_OF.items():
            found = _pages(home, actor, query, 7)
            assert sorted(found) == sorted(one for one, of in traces.items() if says(of) and meets(of)), query
    finally:
        event.remove(home.db.engine, "before_cursor_execute", note)
    assert any("traces_text" in one for one in asked)
    if small and home.db.sqlite:
        by_span = [one for one in asked if "x.rowid = s.id" in one and "s.id >=" not in one]
        assert by_span == []


def test_huge_traces_are_asked_for_words_one_by_one(
    home: Home, actor: Actor, arrived: list[SpanRecord], small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = {query: sorted(_pages(home, actor, query, 7)) for query in WORDS_OF}
    monkeypatch.setattr(search, "_SPANS", 3)
    for query, found in usual.items():
        assert sorted(_pages(home, actor, query, 7)) == found, query


def test_the_index_says_which_of_some_spans_hold_words(
    home: Home, actor: Actor, arrived: list[SpanRecord], small: bool
) -> None:
    rng = random.Random(2)
    with home.read() as uow:
        rows = uow.conn.exec_driver_sql("SELECT span_id, id FROM traces_spans").all()
        row = {bytes(name).hex(): number for name, number in rows}
        holding = {row[span.span_id] for span in arrived if _says(span, "refund")}
        asking = terms.Asking(uow.conn, actor.scope)
        for count in (0, 1, 5, 60, len(rows)):
            some = rng.sample(sorted(row.values()), min(count, len(row)))
            words = terms.Text((((marked("refund", asking.scope_id), False),),))
            assert hitting.among(asking, words, some) == holding.intersection(some), count


def test_the_newest_spans_with_a_word_are_named_in_order(
    home: Home, actor: Actor, arrived: list[SpanRecord], small: bool
) -> None:
    with home.read() as uow:
        rows = uow.conn.exec_driver_sql("SELECT span_id, id FROM traces_spans").all()
        row = {bytes(name).hex(): number for name, number in rows}
        asking = terms.Asking(uow.conn, actor.scope)
        for word in ("refund", "kelvin", "nowhere"):
            words = terms.Text((((marked(word, asking.scope_id), False),),))
            holding = sorted((row[span.span_id] for span in arrived if _says(span, word)), reverse=True)
            for limit in (1, 2, 7, len(row)):
                for start in (1 << 62, max(row.values()), max(row.values()) // 2, 2, 1):
                    found = [hit.span for hit in hitting.below(asking, words, start, limit)]
                    assert found == [one for one in holding if one < start][:limit], (word, limit, start)


def test_slow_steps_do_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    limit = Deadline(10, Stop())
    now[0] = 0.5
    assert limit.more(64, 100) == 100
    now[0] = 3.0
    assert limit.more(64, 100) == 64
    now[0] = 3.5
    assert limit.more(40, 100) == 80
