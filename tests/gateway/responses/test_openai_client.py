"""Stored responses as the unmodified openai client uses them."""

import asyncio
from datetime import timedelta
from typing import Any

import openai
import pytest
from sqlalchemy import func, select
from tests.gateway.responses.conftest import Clients, Gateway

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.responses import service, store


def rows(home: Home) -> tuple[int, int]:
    with home.read() as uow:
        count = [select(func.count()).select_from(table) for table in (store.responses, store.items)]
        return uow.conn.execute(count[0]).scalar() or 0, uow.conn.execute(count[1]).scalar() or 0


def test_a_response_is_stored_and_read_again(clients: Clients, gateway: Gateway) -> None:
    made = clients.create(instructions="Be brief.")
    assert made.id.startswith("resp_") and made.id != "resp_upstream"
    assert made.store is True and made.previous_response_id is None
    assert gateway.seen == [{"model": "m", "input": "Hello", "instructions": "Be brief.", "store": False}]
    assert clients.get(made.id).to_dict() == made.to_dict()
    clients.delete(made.id)
    with pytest.raises(openai.NotFoundError, match="not found") as told:
        clients.get(made.id)
    assert told.value.body["type"] == "invalid_request_error"  # type: ignore[index]
    assert rows(gateway.home) == (0, 0)


def test_a_chain_of_three_says_everything_again(clients: Clients, gateway: Gateway) -> None:
    one = clients.create(input="First", instructions="Be brief.")
    two = clients.create(input=[{"role": "user", "content": "Second"}], previous_response_id=one.id)
    three = clients.create(input="Third", previous_response_id=two.id, instructions="Be long.")
    assert (two.previous_response_id, three.previous_response_id) == (one.id, two.id)
    sent = gateway.seen[2]
    assert "previous_response_id" not in sent and sent["instructions"] == "Be long."
    assert "instructions" not in gateway.seen[1]
    said = [
        item["content"] if isinstance(item["content"], str) else item["content"][0]["text"]
        for item in sent["input"]
    ]
    assert said == ["First", "item 1", "Second", "item 3", "Third"]  # thoughts without content are left out
    assert three.output_text == "item 5"
    branch = clients.create(input="Else", previous_response_id=one.id)
    assert branch.output_text == "item 3"


def test_what_a_deleted_response_began_cannot_go_on(clients: Clients) -> None:
    one = clients.create()
    two = clients.create(previous_response_id=one.id)
    three = clients.create(previous_response_id=two.id)
    clients.delete(two.id)
    assert clients.get(three.id).output_text == "item 5"
    for last in (two.id, three.id):
        with pytest.raises(openai.BadRequestError, match=two.id) as told:
            clients.create(previous_response_id=last)
        assert told.value.code == "previous_response_not_found"
        assert told.value.param == "previous_response_id"
    assert clients.create(previous_response_id=one.id).output_text == "item 3"


def test_another_project_and_tenant_see_nothing(clients: Clients, gateway: Gateway) -> None:
    made = clients.create()
    item = made.output[1].id
    for key in ("psk_two", "psk_three"):
        for work in (clients.get, clients.delete):
            with pytest.raises(openai.NotFoundError):
                work(made.id, key)
        with pytest.raises(openai.NotFoundError):
            clients.run(lambda client: client.responses.input_items.list(made.id), key)
        with pytest.raises(openai.NotFoundError):
            clients.run(lambda client: client.responses.cancel(made.id), key)
        with pytest.raises(openai.BadRequestError) as told:
            clients.create(key, previous_response_id=made.id)
        assert told.value.code == "previous_response_not_found"
        with pytest.raises(openai.BadRequestError, match="not found"):
            clients.create(key, input=[{"type": "item_reference", "id": item}])
    assert clients.get(made.id).id == made.id and len(gateway.seen) == 1


def test_store_false_leaves_nothing(clients: Clients, gateway: Gateway) -> None:
    made = clients.create(store=False)
    assert made.id == "resp_upstream" and made.store is False
    assert gateway.seen == [{"model": "m", "input": "Hello", "store": False}]
    first = clients.create()
    after = clients.create(store=False, previous_response_id=first.id)
    assert (after.store, after.previous_response_id, after.output_text) == (False, first.id, "item 3")
    assert clients.stream(store=False)[-1].response.store is False
    assert rows(gateway.home) == (1, 2)


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_stream_is_stored_before_its_last_event(clients: Clients, gateway: Gateway, step: int) -> None:
    gateway.step = step
    first = clients.create()
    events = clients.stream(previous_response_id=first.id)
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    told = [event.response for event in events if hasattr(event, "response")]
    assert {(each.id, each.store, each.previous_response_id) for each in told} == {
        (told[0].id, True, first.id)
    }
    assert clients.get(told[0].id).to_dict() == told[-1].to_dict()


def test_a_stored_response_expires(clients: Clients, gateway: Gateway) -> None:
    made = clients.create()
    assert service.sweep(gateway.home) == (0, 0)
    with clock.frozen(clock.now() + timedelta(days=31)):
        with pytest.raises(openai.NotFoundError):
            clients.get(made.id)
        with pytest.raises(openai.BadRequestError):
            clients.create(previous_response_id=made.id)
        assert service.sweep(gateway.home) == (1, 0)
    assert rows(gateway.home) == (0, 0)


def test_the_oldest_go_when_a_project_holds_too_much(
    clients: Clients, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [clients.create(input=f"{number}") for number in range(4)]
    other = clients.create("psk_two")
    with gateway.home.read() as uow:
        sizes = [store.by_id(uow.conn, Scope(), each.id, clock.now()) for each in made]
    room = sum(len(each.body) for each in sizes[2:] if each is not None)
    monkeypatch.setattr(service, "bound_bytes", lambda _: room)
    assert service.sweep(gateway.home) == (0, 2)
    assert service.sweep(gateway.home) == (0, 0)
    assert [each.id for each in made[2:]] == [clients.get(each.id).id for each in made[2:]]
    assert clients.get(other.id, "psk_two").id == other.id
    with pytest.raises(openai.NotFoundError):
        clients.get(made[1].id)


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_too_large_is_answered_but_not_stored(
    clients: Clients, gateway: Gateway, stream: bool
) -> None:
    large = "x" * (9 * 1024 * 1024)
    made = clients.stream(input=large)[-1].response if stream else clients.create(input=large)
    assert made.store is False and made.output_text == "item 1"
    assert rows(gateway.home) == (0, 0)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_survives_that_it_cannot_be_stored(
    clients: Clients, gateway: Gateway, stream: bool
) -> None:
    with gateway.home.begin() as uow:
        store.items.drop(uow.conn)
    made = clients.stream()[-1].response if stream else clients.create()
    assert made.store is False and made.output_text == "item 1"


def test_items_are_referred_to(clients: Clients, gateway: Gateway) -> None:
    one = clients.create(input="First")
    reference = {"type": "item_reference", "id": one.output[1].id}
    thought = {"type": "item_reference", "id": one.output[0].id}
    after: Any = [{"role": "user", "content": "And?"}]
    clients.create(input=[thought, reference, *after])
    alone = gateway.seen[-1]["input"]
    assert [each.get("id") for each in alone] == [one.output[1].id, None]
    assert alone[0]["content"][0]["text"] == "item 1"
    clients.create(input=[reference, *after], previous_response_id=one.id)
    assert len(gateway.seen[-1]["input"]) == 3  # what the chain brings is not said twice
    with pytest.raises(openai.BadRequestError, match="msg_0"):
        clients.create(input=[{"type": "item_reference", "id": "msg_0"}])


def test_reasoning_is_asked_for_in_a_form_that_can_be_given_back(clients: Clients, gateway: Gateway) -> None:
    clients.create(reasoning={"effort": "low"})
    assert gateway.seen[-1]["include"] == ["reasoning.encrypted_content"]
    clients.create(reasoning={"effort": "low"}, include=["message.output_text.logprobs"])
    assert gateway.seen[-1]["include"] == ["message.output_text.logprobs", "reasoning.encrypted_content"]
    clients.create(reasoning={"effort": "low"}, store=False)
    assert "include" not in gateway.seen[-1]


def test_input_items_are_listed_by_pages(clients: Clients) -> None:
    given: Any = [{"role": "user", "content": f"{number}"} for number in range(5)]
    made = clients.create(input=given)

    def listed(**asked: Any) -> Any:
        return clients.run(lambda client: client.responses.input_items.list(made.id, **asked))

    page = listed(order="asc", limit=2)
    assert [item.content[0].text for item in page.data] == ["0", "1"] and page.has_more
    rest = listed(order="asc", after=page.last_id)
    assert [item.content[0].text for item in rest.data] == ["2", "3", "4"] and not rest.has_more
    assert [item.content[0].text for item in listed().data] == ["4", "3", "2", "1", "0"]
    with pytest.raises(openai.BadRequestError, match="limit"):
        listed(limit=0)
    with pytest.raises(openai.NotFoundError):
        listed(after="msg_0")


def test_what_is_not_served_is_refused(clients: Clients) -> None:
    made = clients.create()
    with pytest.raises(openai.BadRequestError, match="background"):
        clients.run(lambda client: client.responses.cancel(made.id))
    with pytest.raises(openai.BadRequestError, match="not streamed"):
        clients.run(lambda client: client.responses.retrieve(made.id, stream=True))
    with pytest.raises(openai.APIStatusError) as told:
        clients.run(lambda client: client.put(f"/responses/{made.id}", cast_to=object))
    assert told.value.status_code == 405
    for body in (
        {"background": True},
        {"conversation": "conv_1"},
        {"previous_response_id": 1},
        {"store": "yes"},
        {"input": 1},
    ):
        with pytest.raises(openai.BadRequestError) as wrong:
            clients.create(**body)
        assert wrong.value.param == next(iter(body))
    with pytest.raises(openai.NotFoundError):
        clients.get("resp_%00")


def test_nothing_to_do_changes_nothing(gateway: Gateway) -> None:
    envelope = Envelope(b'{"model":"m","input":"x","store":false}')

    async def send(_: Any) -> None: ...

    prepared = asyncio.run(gateway.store.prepare(Scope(), "key", envelope))
    assert prepared.envelope is envelope and prepared.sending(send) is send
