"""Pure parts of our engine server: stop strings, templates, Prometheus pages, options."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.serving.engines import prometheus, requests
from penstock.serving.engines.generation import Cutter, Refused
from penstock.serving.engines.text import ChatTemplate

pieces = st.lists(st.text("ab#.", max_size=4), max_size=12)


@given(pieces, st.lists(st.text("ab#.", min_size=1, max_size=4), max_size=3))
def test_text_is_cut_at_the_first_stop_string_however_it_is_split(parts: list[str], stops: list[str]) -> None:
    out: list[str] = []
    cutter = Cutter(stops, out.append)
    for part in parts:
        cutter.feed(part)
    cutter.finish()
    whole = "".join(parts)
    ends = [at for at in (whole.find(stop) for stop in stops) if at >= 0]
    got = "".join(out)
    assert cutter.hit == bool(ends)
    if not ends:
        assert got == whole
    else:
        assert whole.startswith(got)
        assert not any(stop in got for stop in stops)


def test_a_template_is_rendered_as_transformers_does_and_can_do_nothing_else(tmp_path: Path) -> None:
    config = {
        "bos_token": {"content": "<s>"},
        "chat_template": [{"name": "default", "template": "{{ bos_token }}x"}],
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert ChatTemplate(tmp_path).render([{"role": "user", "content": "a"}]) == "<s>x"
    source = (
        "{% for m in messages %}\n    {% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}\n"
        "{% generation %}[{{ m.role }}]{% endgeneration %} {{ m | tojson }}\n{% endfor %}"
        "{{ strftime_now('%Y')[:2] }}{% if tools is not none %}tools{% endif %}"
        "{% if add_generation_prompt %}>{% endif %}"
    )
    (tmp_path / "chat_template.jinja").write_text(source)
    rendered = ChatTemplate(tmp_path).render([{"role": "user", "content": "é<"}])
    assert rendered == '[user] {"role": "user", "content": "é<"}\n20>'
    with pytest.raises(Refused, match="no tools"):
        ChatTemplate(tmp_path).render([{"role": "tool", "content": ""}])
    (tmp_path / "chat_template.jinja").write_text("{{ messages.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(Refused):
        ChatTemplate(tmp_path).render([])
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused, match="no chat template"):
        ChatTemplate(tmp_path / "empty").render([])


def test_prometheus_pages_are_read() -> None:
    page = b'# HELP a b\na{x="1",y="}"} 2.5\na{x="2"} 1\nb 3e2\nvllm:c{m="n"} 4 1700000000\n'
    assert prometheus.numbers(page) == {"a": 3.5, "b": 300.0, "vllm:c": 4.0}
    with pytest.raises(KeyError):
        prometheus.number(page, "z")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b'{"messages": 1}', "cannot be read"),
        (b'{"tools": [{}]}', "does not support tools"),
        (b'{"response_format": {"type": "json_object"}}', "does not support response_format"),
        (b'{"n": 2}', "n=2"),
    ],
)
def test_what_cannot_be_done_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        requests.read(body)


def test_messages_become_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    asked = requests.read(json.dumps({"messages": [{"role": "user", "content": parts}]}).encode())
    assert requests.messages(asked) == [{"role": "user", "content": "ab"}]
    for content in ([{"type": "image_url"}], 3, ["x"]):
        asked = requests.read(json.dumps({"messages": [{"role": "user", "content": content}]}).encode())
        with pytest.raises(Refused):
            requests.messages(asked)
    with pytest.raises(Refused, match="needs a role"):
        requests.messages(requests.read(b'{"messages": [{"content": "x"}]}'))
    with pytest.raises(Refused, match="messages is missing"):
        requests.messages(requests.read(b"{}"))


def test_sampling_has_openais_defaults() -> None:
    found = requests.sampling(requests.read(b"{}"), "chat", 100)
    assert (found.temperature, found.top_p, found.max_tokens, found.stop) == (1.0, 1.0, 100, ())
    assert requests.sampling(requests.read(b"{}"), "completions", 100).max_tokens == 16
    more = b'{"max_tokens": 5, "max_completion_tokens": 7, "stop": "x", "temperature": 0}'
    found = requests.sampling(requests.read(more), "chat", 100)
    assert (found.max_tokens, found.stop, found.temperature) == (7, ("x",), 0)
