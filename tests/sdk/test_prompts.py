from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock
from penstock.core.errors import Invalid
from penstock.prompts import template as server_template
from penstock.prompts.model import Body, Kind, Variable
from penstock.sdk import prompts, template
from penstock.sdk.client import Client
from tests.sdk.fake_server import FakeServer, serving


def _script(server: FakeServer, *, labels: dict[str, int], texts: dict[int, str]) -> None:
    server.answer("GET /api/v1/prompts/greet", {"name": "greet", "labels": labels})
    for number, text in texts.items():
        record = {"number": number, "body": {"kind": "text", "text": text, "settings": {"model": "m"}}}
        server.answer(f"GET /api/v1/prompts/greet/versions/{number}", record)


def test_production_is_preferred_over_the_newest(server: FakeServer) -> None:
    _script(server, labels={"production": 1, "latest": 2}, texts={1: "Hello {{ who }}!", 2: "Hi {{ who }}!"})
    client = Client(server.url, "psk_1")
    prompt = penstock.get_prompt("greet", client=client)
    rendered = prompt.render(who="Ada")
    assert (rendered.text, rendered.ref) == ("Hello Ada!", "greet@1")
    assert rendered.messages == ({"role": "user", "content": "Hello Ada!"},)
    assert rendered.settings == {"model": "m"}
    assert penstock.get_prompt("greet", label="latest", client=client).number == 2


def test_an_unknown_label_names_the_known_ones(server: FakeServer) -> None:
    _script(server, labels={"latest": 1}, texts={1: "x"})
    with pytest.raises(penstock.SdkError, match="Labels: latest"):
        penstock.get_prompt("greet", label="staging", client=Client(server.url))


def test_versions_and_fresh_labels_come_from_memory(server: FakeServer) -> None:
    _script(server, labels={"latest": 1}, texts={1: "x"})
    client = Client(server.url)
    for _ in range(5):
        penstock.get_prompt("greet", client=client)
    assert len(server.asked) == 2


def test_a_stale_label_is_served_at_once_and_refreshed_behind(server: FakeServer) -> None:
    server.answer("GET /api/v1/prompts/greet", {"name": "greet", "labels": {"latest": 1}})
    _script(server, labels={"latest": 2}, texts={1: "one", 2: "two"})
    client = Client(server.url)
    assert penstock.get_prompt("greet", client=client).number == 1
    assert penstock.get_prompt("greet", ttl=0.0, client=client).number == 1
    server.wait_for(4)
    for _ in range(500):
        if penstock.get_prompt("greet", client=client).number == 2:
            break
        prompts.clock.sleep(0.01)
    assert penstock.get_prompt("greet", client=client).number == 2


def test_known_prompts_survive_the_server(free_port: int) -> None:
    client = Client(f"http://127.0.0.1:{free_port}")
    with serving(free_port) as server:
        _script(server, labels={"latest": 1}, texts={1: "Hello {{ who }}!"})
        penstock.get_prompt("greet", client=client)
    for _ in range(3):
        assert penstock.get_prompt("greet", ttl=0.0, client=client).render(who="Ada").text == "Hello Ada!"


def test_a_fallback_stands_in_for_a_server_that_never_answered(free_port: int, pauses: list[float]) -> None:
    client = Client(f"http://127.0.0.1:{free_port}")
    with pytest.raises(penstock.ConnectionFailed):
        penstock.get_prompt("greet", client=client)
    prompt = penstock.get_prompt("greet", fallback="Hey {{ who }}", client=client)
    assert (prompt.render(who="Ada").text, prompt.number) == ("Hey Ada", 0)


def test_a_missing_prompt_is_not_covered_by_the_fallback(server: FakeServer) -> None:
    with pytest.raises(penstock.NotFound):
        penstock.get_prompt("greet", fallback="x", client=Client(server.url))


def test_real_template_language_is_left_to_the_server(server: FakeServer) -> None:
    _script(server, labels={"latest": 1}, texts={1: "{% for x in xs %}{{ x }}{% endfor %}"})
    server.answer("POST /api/v1/prompts/greet/render", {"text": "ab", "messages": []})
    prompt = penstock.get_prompt("greet", client=Client(server.url))
    assert prompt.render(xs=["a", "b"]).text == "ab"
    assert server.asked[-1].json() == {"variables": {"xs": ["a", "b"]}, "version": 1}


def test_the_servers_refusal_is_a_render_error(server: FakeServer) -> None:
    _script(server, labels={"latest": 1}, texts={1: "{{ x | upper }}"})
    server.answer("POST /api/v1/prompts/greet/render", {"detail": "x needs a value"}, status=400)
    with pytest.raises(penstock.RenderError, match="x needs a value"):
        penstock.get_prompt("greet", client=Client(server.url)).render()


def _version(server: FakeServer, name: str, body: dict[str, Any], *includes: str) -> None:
    record = {"number": 1, "note": "why", "includes": [*includes], "body": body}
    server.answer(f"GET /api/v1/prompts/{name}", {"name": name, "labels": {"latest": 1, "live": 1}})
    server.answer(f"GET /api/v1/prompts/{name}/versions/1", record)


def test_includes_placeholders_and_images_are_filled_in_while_the_server_is_away(free_port: int) -> None:
    client = Client(f"http://127.0.0.1:{free_port}")
    variables = [
        {"name": "history", "type": "messages"},
        {"name": "picture", "type": "image"},
        {"name": "question"},
    ]
    picture = {"type": "image_url", "image_url": {"url": "{{ picture }}"}}
    messages = [
        {"role": "system", "content": "{% include 'tone@live' %} Help."},
        {"include": "shots@1"},
        {"placeholder": "history"},
        {"role": "user", "content": [{"type": "text", "text": "{{ question }}"}, picture]},
    ]
    body = {"kind": "chat", "messages": messages, "variables": variables, "tools": [{"type": "function"}]}
    with serving(free_port) as server:
        _version(server, "ask", body, "tone@live", "shots@1")
        _version(
            server,
            "tone",
            {"kind": "text", "text": "Be {{ mood }}.", "variables": [{"name": "mood", "default": "kind"}]},
        )
        _version(server, "shots", {"kind": "chat", "messages": [{"role": "user", "content": "2+2"}]})
        penstock.get_prompt("ask", client=client)
    prompt = penstock.get_prompt("ask", ttl=0.0, client=client)
    history = [{"role": "assistant", "content": "{{ not a template }}"}]
    found = prompt.render(question="Why?", picture="https://example.org/a.png", history=history)
    assert [message["content"] for message in found.messages] == [
        "Be kind. Help.",
        "2+2",
        "{{ not a template }}",
        [
            {"type": "text", "text": "Why?"},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        ],
    ]
    assert found.includes == {"tone@live": "tone@1", "shots@1": "shots@1"}
    assert (prompt.note, prompt.variables) == ("why", {"history", "picture", "question", "mood"})
    for wrong in ({"picture": "a.png"}, {"history": ["x"]}, {"mod": "x"}):
        with pytest.raises(penstock.RenderError):
            prompt.render(**{"question": "Why?", "picture": "https://e.org/a.png", "history": [], **wrong})


def test_a_rendered_prompt_is_a_request_where_ones_own_arguments_win(server: FakeServer) -> None:
    schema, tool = {"type": "object"}, {"type": "function", "function": {"name": "f"}}
    settings = {"model": "m", "temperature": 0, "top_p": None}
    body = {"kind": "text", "text": "Hi", "settings": settings, "output_schema": schema, "tools": [tool]}
    _version(server, "ask", body)
    rendered = penstock.get_prompt("ask", client=Client(server.url)).render()
    assert rendered.request(model="small") == {
        "model": "small",
        "temperature": 0,
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [tool],
        "response_format": {"type": "json_schema", "json_schema": {"name": "ask", "schema": schema}},
    }


_pieces = st.sampled_from(
    [
        "{{ a }}",
        "{{b}}",
        "{{ a-b }}",
        "{{ range }}",
        "{% if a %}",
        "{%- raw %}",
        "{# c #}",
        "{{",
        "}}",
        "\r\n",
        "\n",
        "{",
        " ä ",
        "text",
        "{{- a }}",
        "{{ true }}",
    ]
)
_values = st.one_of(
    st.text(alphabet="aä{}%\n", max_size=5),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
_types = st.sampled_from(["string", "number", "boolean", "list"])


@given(
    source=st.lists(_pieces, min_size=1, max_size=6).map("".join),
    given_values=st.dictionaries(st.sampled_from(["a", "b", "range", "c"]), _values, max_size=3),
    declared=st.dictionaries(st.sampled_from(["a", "b"]), st.tuples(_types, st.booleans()), max_size=2),
)
def test_what_is_filled_in_here_equals_what_the_server_renders(
    source: str, given_values: dict[str, Any], declared: dict[str, tuple[str, bool]]
) -> None:
    if not source.strip():
        return
    specs = [{"name": n, "type": t, "required": r} for n, (t, r) in declared.items()]
    try:
        ours: Any = template.fill({"kind": "text", "text": source, "variables": specs}, given_values)
    except penstock.RenderError:
        ours = "refused"
    if ours is None:
        return
    try:
        variables = tuple(Variable(**spec) for spec in specs)
        text, _ = server_template.render(Body(kind=Kind.TEXT, text=source, variables=variables), given_values)
        theirs: Any = (text, [])
    except Invalid:
        theirs = "refused"
    assert ours == theirs


def test_chat_messages_are_filled_in() -> None:
    messages = [{"role": "system", "content": "Be {{ tone }}."}, {"role": "user", "content": "{{ text }}"}]
    filled = template.fill({"kind": "chat", "messages": messages}, {"tone": "brief", "text": "Hi {{ tone }}"})
    assert filled == (
        "",
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi {{ tone }}"}],
    )
