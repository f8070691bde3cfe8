"""Masking at every door: what is masked is stored nowhere."""

import msgspec
import pytest

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.traces import background, service
from penstock.traces.intake import Intake
from penstock.traces.masking import SpanMasker, hash_of
from penstock.traces.model import SpanEvent, SpanRecord, TraceFilters
from penstock.traces.policy import Masking, parse
from penstock.traces.policy_service import MaskTable
from penstock.traces.recorder import Recorder
from tests.traces.build import call


def masker(**document: object) -> SpanMasker:
    return SpanMasker(parse({"masking": document}).masking, b"secret")


def put(home: Home, actor: Actor, **masking: object) -> None:
    with home.begin() as uow:
        service.put_policies(uow, actor, {"masking": masking})


def stored(home: Home, actor: Actor, span: SpanRecord) -> SpanRecord:
    with home.read() as uow:
        return service.get_span_body(uow, actor, trace_id=span.trace_id, span_id=span.span_id)


def test_without_rules_a_span_stays_the_same_object() -> None:
    span = call(input=b'{"a": [1, 2.5, null, true, "x"]}')
    assert SpanMasker(Masking(), b"").apply(span) is span
    assert masker(detectors={"pii": {}}).apply(span) is span


def test_detectors_look_into_every_text() -> None:
    mail, masked = "ada@example.com", "[EMAIL]"
    span = call(
        name=f"mail to {mail}",
        error=f"no answer from {mail}",
        user=mail,
        session=f"chat with {mail}",
        tags=(mail, "x"),
        metadata={"who": mail},
        attributes={"deep": [{"er": mail}], mail: 1},
        events=(SpanEvent(name="said", at_ns=1, attributes={"to": mail}),),
        input=msgspec.json.encode([{"role": "user", "content": f"I am {mail}", "n": 4111111111111111}]),
        output=b"not JSON: ada@example.com",
    )
    made = masker(detectors={"pii": {}}).apply(span)
    assert mail not in repr(made)
    assert made.user == masked and made.tags == (masked, "x") and made.metadata == {"who": masked}
    assert made.attributes == {"deep": [{"er": masked}], masked: 1}
    assert msgspec.json.decode(made.input or b"") == [
        {"role": "user", "content": "I am [EMAIL]", "n": "[CARD]"}
    ]
    assert made.output == b"not JSON: [EMAIL]"
    assert (made.trace_id, made.input_tokens, made.cost_usd) == (span.trace_id, 100, 0.000027)
    assert masker(detectors={"pii": {}}).apply(made) is made


def test_kinds_can_be_chosen() -> None:
    span = call(output=b'"ada@example.com from 192.0.2.7"')
    assert masker(detectors={"pii": {"kinds": ["ip"]}}).apply(span).output == b'"ada@example.com from [IP]"'


def test_escapes_do_not_hide_anything() -> None:
    made = masker(detectors={"pii": {}}).apply(call(output=b'"ada\\u0040example.com"'))
    assert made.output == b'"[EMAIL]"'


def test_the_secrets_masker_knows_the_guards_formats() -> None:
    key = "sk-" + "aB3dE6gH9jK2mN5pQ8sT"
    other = "AKIA" + "IOSFODNN7EXAMPLE"
    span = call(output=msgspec.json.encode(f"use {key} or {other}, not sk-short"))
    made = masker(detectors={"secrets": {}}).apply(span)
    assert made.output == b'"use [API_KEY] or [AWS_KEY], not sk-short"'
    assert masker(detectors={"secrets": {"kinds": ["jwt"]}}).apply(span) is span


def test_patterns_replace_literally() -> None:
    rules = [
        {"name": "ticket", "pattern": r"T-\d{4}"},
        {"name": "path", "pattern": r"/home/\w+", "replacement": r"\1"},
    ]
    made = masker(patterns=rules).apply(call(output=b'"T-1234 in /home/ada, T-12"'))
    assert msgspec.json.decode(made.output or b"") == r"[TICKET] in \1, T-12"


def test_keys_drop_mask_and_hash() -> None:
    rules = [
        {"key": "*password*"},
        {"key": "user", "action": "hash"},
        {"key": "http.request.header.*", "action": "mask"},
        {"key": "output", "action": "mask"},
        {"key": "tags", "action": "hash"},
    ]
    span = call(
        user="ada",
        tags=("vip",),
        metadata={"Password": "x", "ok": "y"},
        attributes={"http.request.header.cookie": "c", "db": {"password_hint": "h", "name": "n"}},
        input=b'{"form": {"old_password": "a", "left": 1}}',
        output=b'"everything"',
    )
    made = masker(keys=rules).apply(span)
    assert made.metadata == {"ok": "y"}
    assert made.attributes == {"http.request.header.cookie": "[MASKED]", "db": {"name": "n"}}
    assert made.input == b'{"form":{"left":1}}' and made.output == b'"[MASKED]"'
    assert made.user == hash_of(b"secret", "ada") and made.user != hash_of(b"other", "ada")
    assert made.tags == (hash_of(b"secret", "vip"),)
    assert masker(keys=rules).apply(made) == made


@pytest.mark.parametrize("field", ["input", "output", "user", "session", "error"])
def test_whole_fields_can_be_dropped(field: str) -> None:
    span = call(user="u", session="s", error="e", status="error")
    assert getattr(masker(keys=[{"key": field}]).apply(span), field) is None


def test_what_is_nested_too_deeply_to_look_at_is_not_stored() -> None:
    deep = b"[" * 400 + b'"ada@example.com"' + b"]" * 400
    made = masker(detectors={"pii": {}}).apply(call(input=deep))
    assert b"ada@" not in (made.input or b"") and b"[MASKED]" in (made.input or b"")


def test_a_hash_lets_a_users_calls_be_found_and_erased(home: Home, actor: Actor) -> None:
    put(home, actor, keys=[{"key": "user", "action": "hash"}])
    spans = [call(user="ada"), call(user="ada"), call(user="bob")]
    service.ingest(home, actor.scope, spans)
    hashed = stored(home, actor, spans[0]).user
    assert hashed is not None and hashed.startswith("hash:")
    with home.read() as uow:
        found = service.list_traces(uow, actor, filters=TraceFilters(user=hashed))
    assert len(found.items) == 2
    assert service.erase_traces(home, actor, user="ada").traces == 2


def test_recorded_spans_are_masked_on_their_way_in(home: Home, actor: Actor) -> None:
    put(home, actor, detectors={"pii": {}})
    span = call(output=b'"ada@example.com"')
    recorder = Recorder(home)
    recorder.record(actor.scope, span)
    recorder.close()
    intake = Intake(home)
    assert intake.drain() == 1
    intake.close()
    assert stored(home, actor, span).output == b'"[EMAIL]"'
    background.catch_up(home)
    with home.read() as uow:
        for words, count in (("example", 0), ("email", 1)):
            page = service.list_traces(uow, actor, filters=TraceFilters(q=words))
            assert len(page.items) == count
            assert all("@" not in (item.output_preview or "") for item in page.items)


def test_a_change_reaches_a_table_that_is_in_use(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = MaskTable(home)
    span = call(output=b'"ada@example.com"')
    assert table.masked(actor.scope, span) is span
    put(home, actor, detectors={"pii": {}})
    monkeypatch.setattr("penstock.traces.policy_service._REFRESH_SECONDS", 0)
    assert table.masked(actor.scope, span).output == b'"[EMAIL]"'
    put(home, actor)
    assert table.masked(actor.scope, span) is span
