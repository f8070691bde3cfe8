"""Rendering: what a template may do, and what it is told when it may not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import Invalid
from penstock.prompts.model import Body, Kind, Variable
from penstock.prompts.template import discover, render


def text(source: str, *variables: Variable) -> Body:
    return Body(kind=Kind.TEXT, text=source, variables=variables)


def test_variables_are_discovered_and_declared_ones_come_first() -> None:
    body = text(
        "{{ b }} {{ a }} {% for x in items %}{{ x }}{% endfor %}", Variable(name="items", type="list")
    )
    assert [(v.name, v.type) for v in discover(body)] == [("items", "list"), ("a", "string"), ("b", "string")]


@given(st.text(max_size=200))
def test_values_are_inserted_as_they_are(value: str) -> None:
    assert render(text("<{{ v }}>"), {"v": value})[0] == f"<{value}>"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ x.append(1) }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__ }}",
    ],
)
def test_the_sandbox_holds(source: str) -> None:
    with pytest.raises(Invalid):
        render(text(source, Variable(name="x", type="list", required=False)), {"x": []})


def test_output_is_bounded() -> None:
    with pytest.raises(Invalid, match="longer than"):
        render(text("{% for i in range(99999) %}{{ big }}{% endfor %}"), {"big": "x" * 1000})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "needs a value"),
        ({"nam": "x"}, "Did you mean 'name'"),
        ({"name": 3}, "must be a string"),
    ],
)
def test_wrong_values_are_told(values: dict[str, object], says: str) -> None:
    with pytest.raises(Invalid) as told:
        render(text("{{ name }}"), values)
    assert says in str(told.value)


def test_a_syntax_error_names_its_line() -> None:
    with pytest.raises(Invalid, match="line 2"):
        discover(text("fine\n{% if %}"))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{% import 'other' as o %}", "may not import"),
        ("{% extends 'other' %}", "may not import"),
        ("{% include name %}", "must name one prompt outright"),
        ("{% include ['a', 'b'] %}", "must name one prompt outright"),
        ("{% include 'Other Prompt' %}", "does not name a prompt"),
        ("{% include 'other@' %}", "does not name a prompt"),
    ],
)
def test_includes_name_a_prompt_outright(source: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        discover(text(source))


def test_placeholders_insert_messages_between_templates() -> None:
    body = Body(
        kind=Kind.CHAT,
        messages=(
            {"role": "system", "content": "You help {{ who }}."},
            {"placeholder": "history"},
            {"role": "user", "content": [{"type": "text", "text": "{{ q }}"}]},
        ),
    )
    _, messages = render(body, {"who": "Ann", "q": "Hi", "history": [{"role": "user", "content": "before"}]})
    assert [m["content"] for m in messages] == ["You help Ann.", "before", [{"type": "text", "text": "Hi"}]]
