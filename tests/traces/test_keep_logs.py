"""Log records obey the same rules: masked on their way in, redacted and erased with their trace."""

from collections.abc import Iterator
from typing import Any

import pytest

from penstock.core import clock
from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.ids import new_span_id, new_trace_id
from penstock.core.scope import Actor, Role
from penstock.traces import log_service, service
from penstock.traces.log_model import LogRecord
from penstock.traces.model import SpanRecord
from penstock.traces.otlp_app import OtlpApp
from tests.traces.otlp_build import logs_request, request
from tests.traces.otlp_client import PROTOBUF, post

ASKED = {"event": "gen_ai.user.message", "body": {"content": "I am ada@example.com"}}
SAID = {
    "event": "gen_ai.choice",
    "body": {"index": 0, "message": {"role": "assistant", "content": "Hello ada@example.com"}},
}
MAIL = {"detectors": {"pii": {}}}


class Sender:
    """Sends a span and its log events."""

    def __init__(self, home: Home, actor: Actor, app: OtlpApp) -> None:
        self.home, self.actor, self.app = home, actor, app
        with home.begin() as uow:
            self.key = {"x-api-key": auth.create_key(uow, actor, name="s", role=Role.GATEWAY)[1]}
        self.ids = {"trace_id": new_trace_id(), "span_id": new_span_id()}

    def span(self) -> None:
        attributes = {"gen_ai.operation.name": "chat", "user.id": "ada"}
        made = request({**self.ids, "start_ns": clock.now_ns(), "attributes": attributes})
        assert post(self.app, made.SerializeToString(), PROTOBUF | self.key).status == 200

    def logs(self, *records: dict[str, Any]) -> None:
        made = logs_request(*({**self.ids, "at_ns": clock.now_ns(), **record} for record in records))
        answer = post(self.app, made.SerializeToString(), PROTOBUF | self.key, path="/v1/logs")
        assert answer.status == 200, answer.body

    def stored(self) -> SpanRecord:
        with self.home.read() as uow:
            return service.get_span_body(uow, self.actor, **self.ids)

    def listed(self) -> list[LogRecord]:
        with self.home.read() as uow:
            return list(log_service.list_logs(uow, self.actor).items)


@pytest.fixture
def sender(home: Home, actor: Actor) -> Iterator[Sender]:
    app = OtlpApp(home)
    yield Sender(home, actor, app)
    app.close()


def put(sender: Sender, **masking: Any) -> None:
    with sender.home.begin() as uow:
        service.put_policies(uow, sender.actor, {"masking": masking})


@pytest.mark.parametrize("first", ["span", "logs"])
def test_log_events_are_masked(sender: Sender, first: str) -> None:
    put(sender, **MAIL)
    plain = {"event": "", "body": "mail to ada@example.com", "attributes": {"to": "ada@example.com"}}
    if first == "span":
        sender.span()
    sender.logs(ASKED, SAID, plain)
    if first == "logs":
        sender.span()
    found = sender.stored()
    assert b"I am [EMAIL]" in (found.input or b"") and b"Hello [EMAIL]" in (found.output or b"")
    assert "ada@" not in repr(sender.listed()) and len(sender.listed()) == 3


def test_a_rule_against_input_holds_for_what_logs_would_give(sender: Sender) -> None:
    put(sender, keys=[{"key": "input"}])
    sender.span()
    sender.logs(ASKED, SAID)
    found = sender.stored()
    assert b"ada" not in (found.input or b"") and b"Hello ada@example.com" in (found.output or b"")
    assert "I am" not in repr(sender.listed())


def test_redaction_reaches_logs_and_what_they_gave_the_span(sender: Sender) -> None:
    sender.logs(ASKED, SAID)
    sender.span()
    ids = [sender.ids["trace_id"]]
    for dry_run in (True, False):
        done = service.redact_traces(sender.home, sender.actor, masking=MAIL, trace_ids=ids, dry_run=dry_run)
        assert done == (1, 1, 1)
    found = sender.stored()
    assert b"I am [EMAIL]" in (found.input or b"") and b"Hello [EMAIL]" in (found.output or b"")
    assert "ada@" not in repr(sender.listed())
    assert service.redact_traces(sender.home, sender.actor, masking=MAIL, trace_ids=ids) == (1, 0, 0)


def test_erasing_a_user_takes_the_logs_of_the_traces_along(sender: Sender) -> None:
    sender.logs(ASKED, SAID)
    sender.span()
    assert len(sender.listed()) == 2
    assert service.erase_traces(sender.home, sender.actor, user="ada") == (1, 1, 0, 0)
    assert sender.listed() == []


def test_records_of_no_trace_that_name_whom_is_erased_go_as_well(sender: Sender) -> None:
    with sender.home.begin() as uow:
        masking = {"keys": [{"key": "user_id", "action": "hash"}]}
        service.put_policies(uow, sender.actor, {"masking": masking})
    alone = {"trace_id": "", "span_id": ""}
    sender.logs(
        {**alone, "body": "one", "attributes": {"enduser.id": "ada"}},
        {**alone, "body": {"user_id": "ada", "did": "pay"}},
        {**alone, "body": "ada is in the text only", "attributes": {"to": "ada"}},
        {**alone, "body": "four", "attributes": {"user.id": "adam", "session.id": "ada"}},
    )
    sender.logs({"body": "of a trace that never came", "attributes": {"user.id": "ada"}})
    assert "hash:" in repr(sender.listed())
    other = sender.actor.within("elsewhere")
    assert service.erase_traces(sender.home, other, user="ada") == (0, 0, 0, 0)
    for dry_run in (True, False):
        done = service.erase_traces(sender.home, sender.actor, user="ada", dry_run=dry_run)
        assert done == (0, 0, 3, 0)
    assert {record.content.body for record in sender.listed()} == {"ada is in the text only", "four"}
    assert service.erase_traces(sender.home, sender.actor, session="ada") == (0, 0, 1, 0)


def test_records_of_the_users_traces_are_not_counted_twice(sender: Sender) -> None:
    sender.span()
    sender.logs({"body": "one", "attributes": {"user.id": "ada"}})
    for dry_run in (True, False):
        done = service.erase_traces(sender.home, sender.actor, user="ada", dry_run=dry_run)
        assert done == (1, 1, 0, 0)
    assert sender.listed() == []
