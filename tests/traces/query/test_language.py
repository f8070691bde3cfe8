"""The language alone: what it reads, prints and refuses."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import Invalid
from penstock.traces.query import parse
from penstock.traces.query.fields import FIELDS
from penstock.traces.query.nodes import And, Label, Node, Not, Number, Or, Pattern, Time, Words

DOCS = Path(__file__).parents[3] / "docs" / "trace-queries.md"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (
            'model:gpt-* latency>2s text:"refund" -status:error metadata.customer:acme cost>=0.01 tokens>1000 '
            "(user:a OR user:b) tag:prod",
            'model:gpt-* latency>2s "refund" -status:error metadata.customer:acme cost>=0.01 tokens>1000 '
            "(user:a OR user:b) tag:prod",
        ),
        ("a AND b OR NOT c", "a b OR -c"),
        ("-(a b) --c", "-(a b) c"),
        ("user:(ada OR bob)", "user:ada OR user:bob"),
        ("model!=x", "-model:x"),
        ('user:"a b"*', 'user:"a b"*'),
        ("latency:500ms..1.5m", "latency:0.5s..90s"),
        ("latency:..2s tokens:1k.. cost:$1", "latency<=2s tokens>=1000 cost:1"),
        ("gen_ai.operation.name:chat", "attributes.gen_ai.operation.name:chat"),
        ("user.id:7", "attributes.user.id:7"),
        ('metadata."my key":v', 'metadata."my key":v'),
        ("at:2026-01-31", "at:2026-01-31T00:00:00Z..2026-02-01T00:00:00Z"),
        ("at:2026-01-31T12:30", "at:2026-01-31T12:30:00Z..2026-01-31T12:31:00Z"),
        ("since:90m until:now", "since:90m until:0s"),
        ("env:prod duration>1 trace:0af*", "environment:prod latency>1s id:0af*"),
        ("refun* input:* -error:*", "refun* input:* -error:*"),
        ("text:a=b", "text:a=b"),
        ('"say \\"hi\\""', '"say \\"hi\\""'),
        ("user:***x", "user:*x"),
    ],
)
def test_queries_print_in_one_form(text: str, printed: str) -> None:
    node = parse(text)
    assert str(node) == printed
    assert parse(printed) == node


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("model:x foo:bar", 9, "no field 'foo'"),
        ("user:", 6, "value is missing"),
        ('a "bc', 3, "quote is never closed"),
        ("(a b", 1, "parenthesis is never closed"),
        ("a b)", 4, "closes nothing"),
        ("latency>soon", 9, "length of time"),
        ("tokens>many", 8, "needs a number"),
        ("model>3", 1, "cannot be compared"),
        ("a OR", 5, "query ends"),
        ("()", 2, "a parenthesis closes"),
        ("kind:tol", 6, "never 'tol'"),
        ("at:99", 4, "not a time"),
        ("user:(a b)", 9, "joined by OR"),
        ("user:(a OR (b))", 12, "cannot hold another"),
        ("metadata:x", 1, "needs a key"),
        ("user.id:y score:1", 11, "needs a key"),
        ("tokens:9..1", 8, "is empty"),
        ("text:---", 6, "letters or digits"),
        ("id:xyz", 4, "hex digits"),
        ("a\x00b", 2, "cannot be searched"),
        ("a " * 65, 129, "at most 64 conditions"),
        ("(" * 50, 41, "levels deep"),
        ("x" * 5000, 4001, "at most 4000 characters"),
        ("cost>1e99", 6, "too large"),
    ],
)
def test_errors_point_at_the_column(text: str, column: int, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert caught.value.details == {"column": column}
    assert f"column {column}:" in caught.value.message
    assert said in caught.value.message


def test_an_empty_query_asks_for_nothing() -> None:
    assert parse("") is None
    assert parse(" \n\t") is None


@given(st.text(max_size=60) | st.text(alphabet='ab:"()-*.<>=! \\ORNT19\x00é', max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        node = parse(text)
    except Invalid as error:
        assert 1 <= error.details["column"] <= len(text) + 1
        return
    if node is not None:
        assert parse(str(node)) == node
        assert str(parse(str(node))) == str(node)


_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12)
_patterns = st.lists(_texts, min_size=1, max_size=2).map(lambda parts: Pattern(tuple(parts))) | _texts.map(
    lambda text: Pattern((text, ""))
)
_leaves: st.SearchStrategy[Node] = st.one_of(
    st.builds(Label, st.sampled_from(["user", "model", "tag"]), st.just(""), _patterns),
    st.builds(Label, st.sampled_from(["metadata", "attributes"]), _texts, _patterns),
    st.builds(Number, st.just("latency"), st.just(""), st.floats(0, 1e12), st.none(), st.booleans()),
    st.builds(
        Number, st.just("score"), _texts, st.none(), st.floats(-1e9, 1e9), st.just(True), st.booleans()
    ),
    st.from_regex(r"[a-z]{1,5}( [a-z]{1,5})?", fullmatch=True).map(lambda t: Words("text", t, phrase=True)),
    st.from_regex(r"[a-z]{1,5}", fullmatch=True).map(lambda t: Words("input", t, prefix=True)),
)


def _two(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    def joined(kind: type[And | Or]) -> st.SearchStrategy[Node]:
        inner = children.filter(lambda node: not isinstance(node, kind))
        return st.lists(inner, min_size=2, max_size=3).map(lambda items: kind(tuple(items)))

    return joined(And) | joined(Or) | children.filter(lambda node: not isinstance(node, Not)).map(Not)


@given(st.recursive(_leaves, _two, max_leaves=6))
def test_every_tree_prints_as_what_it_was_read_from(node: Node) -> None:
    assert parse(str(node)) == node


def test_every_field_is_documented_with_an_example_that_parses() -> None:
    rows = re.findall(
        r"^\| `([a-z_]+)(?:\.KEY|\.NAME)?` \| (.+?) \| `(.+)` \|$", DOCS.read_text(), re.MULTILINE
    )
    assert [row[0] for row in rows] == list(FIELDS)
    for name, about, example in rows:
        assert example == FIELDS[name].example
        assert about == FIELDS[name].about
        node = parse(example)
        assert isinstance(node, Label | Number | Time | Words)
        field = node.where if isinstance(node, Words) else "time" if isinstance(node, Time) else node.field
        assert field == name or FIELDS[name].holds == "time"
