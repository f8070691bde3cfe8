"""The SDK against the real server over a socket."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import penstock
from penstock.sdk.client import Client
from tests.docs.pages import environment, serving


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder: Path = tmp_path_factory.mktemp("journey")
    with serving(folder, environment(folder)) as env:
        yield Client(env["PENSTOCK_URL"], env["PENSTOCK_API_KEY"])


def test_prompts_from_first_version_to_rendered_text(client: Client) -> None:
    client.prompts.create("triage", description="Ticket triage")
    client.prompts.add_version("triage", kind="text", text="Sort: {{ mail }}")
    client.prompts.add_version(
        "triage",
        kind="chat",
        messages=[
            {"role": "system", "content": "Sort mail."},
            {"role": "user", "content": "{{ mail | trim }}"},
        ],
    )
    assert [version["number"] for version in client.prompts.versions("triage")] == [2, 1]
    client.prompts.set_label("triage", "production", 1)
    assert penstock.get_prompt("triage", client=client).render(mail="hi").text == "Sort: hi"
    latest = penstock.get_prompt("triage", label="latest", client=client)
    assert latest.render(mail="  hi ").messages[1] == {"role": "user", "content": "hi"}
    with pytest.raises(penstock.RenderError, match="mail"):
        latest.render()


def test_lists_page_through_everything(client: Client) -> None:
    for number in range(5):
        client.prompts.create(f"many-{number}")
    names = [prompt["name"] for prompt in client.prompts.list(q="many-", limit=2)]
    assert names == [f"many-{number}" for number in range(5)]


def test_keys_are_made_used_and_revoked(client: Client) -> None:
    made = client.keys.create("robot", role="viewer")
    robot = Client(client.config.url, made["key"])
    assert robot.me()
    with pytest.raises(penstock.ApiError) as denied:
        robot.prompts.create("not-allowed")
    assert denied.value.status == 403
    client.keys.revoke(made["id"])
    with pytest.raises(penstock.ApiError) as gone:
        robot.me()
    assert gone.value.status == 401
    assert gone.value.request_id


def test_the_clients_environment_is_the_readers(client: Client) -> None:
    assert "PENSTOCK_API_KEY" not in os.environ
    assert client.config.url.startswith("http://127.0.0.1:")
