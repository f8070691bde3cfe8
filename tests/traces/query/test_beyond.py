"""What a span holds beyond what is indexed is found all the same, and what nothing finds is named."""

from typing import Any

import pytest

from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.traces import background, service, unindexed, words
from penstock.traces.model import SpanRecord, TraceFilters
from penstock.traces.store.prepare import MAX_FACETS
from tests.traces.build import call

MANY = {f"key{number}": f"value{number}" for number in range(MAX_FACETS + 100)}


def found(home: Home, actor: Actor, query: str) -> set[str]:
    with home.read() as uow:
        page = service.list_traces(uow, actor, filters=TraceFilters(query=query), limit=100)
    return {item.trace_id for item in page.items}


@pytest.fixture
def spans(home: Home, actor: Actor) -> list[SpanRecord]:
    made = [
        call(metadata=MANY),
        call(metadata={"key0": "value0", "key200": "other"}),
        call(metadata={"long": "x" * 300 + "y"}),
        call(metadata={"long": "x" * 300 + "z"}),
        call(tags=tuple(f"tag{number}" for number in range(MAX_FACETS + 10))),
        call(metadata={"k" * 250: "v"}),
    ]
    service.ingest(home, actor.scope, made)
    service.ingest(home, Scope(actor.scope.tenant, "elsewhere"), [call(metadata=MANY)])
    background.catch_up(home)
    return made


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("metadata.key0:value0", (0, 1)),
        ("metadata.key200:value200", (0,)),
        ("metadata.key200:*", (0, 1)),
        ("metadata.key200:val*", (0,)),
        ("-metadata.key200:value200", (1, 2, 3, 4, 5)),
        ("metadata.key200:value201", ()),
        (f"metadata.long:{'x' * 300}y", (2,)),
        (f"metadata.long:{'x' * 250}*", (2, 3)),
        (f"tag:tag{MAX_FACETS + 5}", (4,)),
        ("tag:tag1", (4,)),
        (f"metadata.{'k' * 250}:v", (5,)),
        ("metadata.key200:value200 model:gpt-4o-mini", (0,)),
        (f"metadata.key200:other OR tag:tag{MAX_FACETS + 5}", (1, 4)),
    ],
)
def test_labels_beyond_those_indexed(
    home: Home, actor: Actor, spans: list[SpanRecord], query: str, wanted: tuple[int, ...]
) -> None:
    assert found(home, actor, query) == {spans[number].trace_id for number in wanted}


def test_a_span_that_is_replaced_is_found_by_what_it_says_now(home: Home, actor: Actor) -> None:
    first = call(metadata=MANY)
    service.ingest(home, actor.scope, [first])
    fields = {name: getattr(first, name) for name in ("trace_id", "span_id", "start_ns")}
    service.ingest(home, actor.scope, [call(**fields, metadata={"key0": "value0"})])
    assert found(home, actor, "metadata.key200:value200") == set()
    assert found(home, actor, "metadata.key0:value0") == {first.trace_id}


@pytest.mark.parametrize("query", ["attributes.a150:v150", "attributes.a150:*", "attributes.a150:v1*"])
def test_attributes_beyond_those_indexed(home: Home, actor: Actor, query: str) -> None:
    wide = call(attributes={f"a{number}": f"v{number}" for number in range(200)})
    other = call(attributes={"a1": "v1", "resource": {"service.name": "shop"}})
    service.ingest(home, actor.scope, [wide, other])
    service.ingest(home, Scope(actor.scope.tenant, "elsewhere"), [call(attributes=wide.attributes)])
    assert found(home, actor, "attributes.a1:v1") <= {wide.trace_id, other.trace_id}
    background.catch_up(home)
    assert found(home, actor, query) == {wide.trace_id}
    assert found(home, actor, "attributes.a1:v1") == {wide.trace_id, other.trace_id}


def nested(depth: int) -> dict[str, Any]:
    return {"leaf": 1} if depth == 0 else {"in": nested(depth - 1)}


def test_a_span_names_what_nothing_searches() -> None:
    plain = call(attributes={"n": 1, "list": ["a"], "resource": {"service.name": "shop"}})
    assert unindexed.never_searched(plain) == []
    span = call(
        input=b'"' + b"word " * words.MAX_CHARS + b'"',
        attributes={"deep": nested(5), "items": list(range(20)), "objects": [{"a": 1}]},
    )
    assert unindexed.never_searched(span) == [
        "input",
        "attributes.deep.in.in.in",
        "attributes.items",
        "attributes.objects",
    ]
