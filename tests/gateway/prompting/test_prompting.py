"""Requests that name a managed prompt: what reaches the provider, what the trace says, what errors look like."""

import http.client
import json
from typing import Any

import openai
import pytest

from penstock.core.scope import Actor
from penstock.prompts import service
from penstock.prompts.model import Body, Kind, Variable
from tests.conftest import owner_of
from tests.fakes import anthropic as fake_anthropic
from tests.fakes import openai as fake_openai
from tests.gateway.conftest import Running, Waiter

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False}


def add(gateway: Running, name: str, label: str = "", **fields: Any) -> int:
    actor: Actor = owner_of(gateway.home)
    kind = Kind.CHAT if "messages" in fields else Kind.TEXT
    with gateway.home.begin() as uow:
        made = service.add_version(uow, actor, name=name, body=Body(kind=kind, **fields))
        if label:
            service.set_label(uow, actor, name=name, label=label, version=made.number)
    return made.number


def post(gateway: Running, body: Any, path: str = "/v1/chat/completions") -> tuple[int, Any, dict[str, str]]:
    connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=20)
    try:
        headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), dict(answer.getheaders())
    finally:
        connection.close()


@pytest.fixture
def support(gateway: Running) -> str:
    """A chat prompt of one version with everything a version can have."""
    add(gateway, "tone", label="live", text="Be kind, {{ name }}.")
    add(
        gateway,
        "support",
        label="production",
        messages=(
            {"role": "system", "content": "{% include 'tone@live' %} You help."},
            {"role": "user", "content": "{{ question }}"},
        ),
        variables=(Variable(name="name", default="Ann", required=False),),
        tools=(TOOL,),
        output_schema=SCHEMA,
        settings={"model": "chat", "temperature": 0.5, "max_tokens": 20},
    )
    return "support"


def test_a_prompt_alone_is_a_whole_request(
    gateway: Running, openai_upstream: fake_openai.MockUpstream, support: str
) -> None:
    asked = {"prompt": {"name": support, "variables": {"question": "Why?"}}}
    status, answer, headers = post(gateway, asked)
    assert (status, answer["model"], headers["x-penstock-prompt"]) == (200, "chat", "support@1")
    sent = openai_upstream.requests[-1].json
    assert sent == {
        "model": "gpt-fake",
        "temperature": 0.5,
        "max_tokens": 20,
        "tools": [TOOL],
        "response_format": {"type": "json_schema", "json_schema": {"name": "support", "schema": SCHEMA}},
        "messages": [
            {"role": "system", "content": "Be kind, Ann. You help."},
            {"role": "user", "content": "Why?"},
        ],
    }
    span = gateway.recorder.last()
    assert span.prompt == "support@1"
    assert span.attributes["gateway.prompt_includes"] == "tone@1"
    assert span.input is not None and json.loads(span.input)["messages"][1]["content"] == "Why?"


def test_what_the_caller_says_wins_and_his_messages_follow(
    gateway: Running, openai_upstream: fake_openai.MockUpstream, support: str
) -> None:
    own = {
        "model": "oa-bytewise",
        "temperature": 1,
        "max_completion_tokens": 7,
        "tools": None,
        "messages": [{"role": "assistant", "content": "Hm."}, {"role": "user", "content": "Well?"}],
        "prompt": {"name": support, "label": "production", "variables": {"question": "Why?", "name": "Bob"}},
    }
    assert post(gateway, own)[0] == 200
    sent = openai_upstream.requests[-1].json
    assert (sent["model"], sent["temperature"], sent["max_completion_tokens"]) == ("bytewise", 1, 7)
    assert "max_tokens" not in sent and sent["tools"] == [TOOL], "null says nothing"
    assert [message["content"] for message in sent["messages"]] == [
        "Be kind, Bob. You help.",
        "Why?",
        "Hm.",
        "Well?",
    ]
    assert gateway.recorder.last().attributes["gateway.prompt_label"] == "production"


def test_a_moved_label_is_noticed(
    gateway: Running, openai_upstream: fake_openai.MockUpstream, eventually: Waiter
) -> None:
    add(gateway, "p", label="production", text="one", settings={"model": "chat"})
    asked = {"prompt": {"name": "p"}}
    assert post(gateway, asked)[2]["x-penstock-prompt"] == "p@1"
    add(gateway, "p", label="production", text="two", settings={"model": "chat"})
    eventually(lambda: post(gateway, asked)[2]["x-penstock-prompt"] == "p@2")
    assert openai_upstream.requests[-1].json["messages"] == [{"role": "user", "content": "two"}]
    for version in (1, "1"):
        pinned = {"prompt": {"id": "p", "version": version}}
        assert post(gateway, pinned)[2]["x-penstock-prompt"] == "p@1"


def test_a_moved_label_of_an_include_is_noticed(gateway: Running, support: str, eventually: Waiter) -> None:
    asked = {"prompt": {"name": support, "variables": {"question": "?"}}}
    assert post(gateway, asked)[0] == 200
    add(gateway, "tone", label="live", text="Be brief.")

    def said() -> bool:
        before = len(gateway.recorder.spans)
        post(gateway, asked)
        return gateway.recorder.last(before + 1).attributes["gateway.prompt_includes"] == "tone@2"

    eventually(said)


def test_the_prompts_id_names_it_too(gateway: Running) -> None:
    add(gateway, "p", text="one", settings={"model": "chat"})
    with gateway.home.read() as uow:
        found = service.find(uow, owner_of(gateway.home), name="p")
    assert post(gateway, {"prompt": {"id": found.id}})[2]["x-penstock-prompt"] == "p@1"


def test_anthropics_api_has_it_in_its_own_shape(
    gateway: Running, anthropic_upstream: fake_anthropic.AnthropicUpstream, support: str
) -> None:
    asked = {
        "model": "an-claude-fake",
        "prompt": {"name": support, "variables": {"question": "Why?"}},
        "messages": [{"role": "user", "content": "Now?"}],
        "max_tokens": 99,
    }
    status, answer, headers = post(gateway, asked, "/v1/messages")
    assert (status, answer["type"], headers["x-penstock-prompt"]) == (200, "message", "support@1")
    sent = anthropic_upstream.requests[-1].json
    assert (sent["system"], sent["max_tokens"], sent["temperature"]) == ("Be kind, Ann. You help.", 99, 0.5)
    assert sent["tools"][0]["name"] == "look" and sent["output_config"]["format"]["schema"] == SCHEMA
    assert [message["role"] for message in sent["messages"]] == ["user", "user"]


def test_a_system_prompt_waits_for_the_callers_turn(
    gateway: Running, anthropic_upstream: fake_anthropic.AnthropicUpstream
) -> None:
    add(gateway, "sys", messages=({"role": "system", "content": "Be brief."},))
    turn = {"role": "user", "content": "Hi"}
    asked = {"model": "an-claude-fake", "prompt": {"name": "sys"}, "messages": [turn], "max_tokens": 9}
    assert post(gateway, asked, "/v1/messages")[0] == 200
    sent = anthropic_upstream.requests[-1].json
    assert (sent["system"], sent["messages"]) == ("Be brief.", [turn])


def test_responses_have_it_as_openais_client_sends_it(
    gateway: Running, anthropic_upstream: fake_anthropic.AnthropicUpstream, support: str
) -> None:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        raw = client.responses.with_raw_response.create(
            model="an-claude-fake",
            prompt={
                "id": support,
                "version": "1",
                "variables": {"question": {"type": "input_text", "text": "Why?"}},
            },
            input="And now?",
            store=False,
        )
    assert raw.headers["x-penstock-prompt"] == "support@1"
    sent = anthropic_upstream.requests[-1].json
    assert sent["system"] == "Be kind, Ann. You help." and sent["max_tokens"] == 20
    said = [part["text"] for message in sent["messages"] for part in message["content"]]
    assert said == ["Why?", "And now?"]


@pytest.mark.parametrize(
    ("prompt", "status", "param", "says"),
    [
        ({"name": "nope"}, 404, "prompt", "no prompt 'nope'"),
        ({"name": "support", "version": 9}, 404, "prompt", "no version 9"),
        ({"name": "support", "label": "nope"}, 404, "prompt", "no label 'nope'"),
        ({"name": "support"}, 400, "prompt", "'question' needs a value"),
        ({"name": "support", "variables": {"question": 3}}, 400, "prompt", "must be a string"),
        ({"name": "support", "variables": {"questio": "x"}}, 400, "prompt", "Did you mean 'question'"),
        ({"name": "support", "version": 1, "label": "production"}, 400, "prompt.label", "not both"),
        ({"name": "support", "version": "v 1"}, 400, "prompt.version", "a version's number"),
        ({"variables": {}}, 400, "prompt.name", "needs a name"),
        ({"name": "support", "vars": {}}, 400, "prompt", "unknown field `vars`"),
        ("support", 400, "prompt", "Expected `object`"),
    ],
)
def test_mistakes_are_told_as_openai_tells_them(
    gateway: Running, support: str, prompt: Any, status: int, param: str, says: str
) -> None:
    found, answer, _ = post(gateway, {"model": "chat", "prompt": prompt})
    assert (found, answer["error"]["param"], says in answer["error"]["message"]) == (status, param, True), (
        answer
    )
    code = answer["error"]["code"]
    assert code == ("prompt_not_found" if status == 404 else code) and code


def test_mistakes_are_told_as_anthropic_tells_them(gateway: Running) -> None:
    status, answer, _ = post(gateway, {"model": "m", "prompt": {"name": "nope"}}, "/v1/messages")
    assert (status, answer["type"], answer["error"]["type"]) == (404, "error", "not_found_error")


def test_a_prompt_without_a_model_needs_the_callers(gateway: Running) -> None:
    add(gateway, "p", text="one")
    status, answer, _ = post(gateway, {"prompt": {"name": "p"}})
    assert (status, answer["error"]["param"]) == (400, "model")
    assert post(gateway, {"prompt": {"name": "p"}, "model": "chat"})[0] == 200


def test_other_prompts_are_left_alone(gateway: Running, openai_upstream: fake_openai.MockUpstream) -> None:
    messages = [{"role": "user", "content": 'say "prompt"'}]
    assert post(gateway, {"model": "chat", "messages": messages})[0] == 200
    assert openai_upstream.requests[-1].json["messages"] == messages
    hosted = {"model": "chat", "messages": messages, "prompt": {"id": "pmpt_1", "version": "2"}}
    post(gateway, hosted)
    assert openai_upstream.requests[-1].json["prompt"] == {"id": "pmpt_1", "version": "2"}


def test_known_prompts_outlive_the_database(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    add(gateway, "p", text="one", settings={"model": "chat"})
    asked = {"prompt": {"name": "p"}}
    assert post(gateway, asked)[0] == 200

    def gone(*_: Any, **__: Any) -> Any:
        raise OSError("the database is away")

    shelf = gateway.app._prompting._shelf
    monkeypatch.setattr(shelf, "_read", gone)
    shelf._revision += 1
    assert post(gateway, asked)[0] == 200
    assert post(gateway, {"model": "chat", "prompt": {"name": "other"}})[0] == 503
