import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from penstock.core import clock, jobs
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.traces import background, reprice, service
from penstock.traces import jobs as traces_jobs
from penstock.traces.cli import app
from penstock.traces.model import SpanRecord
from penstock.traces.prices import Price
from penstock.traces.pricing import GIVEN
from penstock.traces.reprice import Repriced, Repricing
from tests.traces.build import call

MONTH = timedelta(days=30)


def recent() -> Repricing:
    return Repricing(since=clock.now() - MONTH)


def story(count: int = 40) -> list[SpanRecord]:
    """Return calls of a book's model, of one nobody has a price for, and some that brought their cost."""
    rng, spans = random.Random(3), []
    for place in range(count):
        model = ("gpt-4o-mini", "own-model", "gpt-4o")[place % 3]
        tokens = rng.randrange(10, 1000)
        cost, version = ((None, None), (0.001, "old"), (0.5, GIVEN))[place % 3 if model != "own-model" else 0]
        spans.append(
            call(
                model=model,
                requested_model=model,
                input_tokens=tokens,
                output_tokens=place,
                cost_usd=cost,
                price_version=version,
                start_ns=clock.now_ns() - place * 10**10,
            )
        )
    return spans


def sums(home: Home, actor: Actor) -> dict[str, Any]:
    with home.read() as uow:
        listed = service.list_traces(uow, actor, limit=1000).items
        by_model = {
            row.group: (row.calls, row.input_tokens, row.cost_usd, row.unpriced)
            for row in service.usage(uow, actor)
        }
        by_day = sum(row.cost_usd for row in service.usage(uow, actor, group_by="day"))
    total = sum(row[2] for row in by_model.values())
    assert sum(trace.cost_usd for trace in listed) == pytest.approx(total)
    assert by_day == pytest.approx(total)
    return by_model


def run(home: Home, actor: Actor, wanted: Repricing) -> Repriced:
    with home.begin() as uow:
        job = reprice.start(uow, actor, wanted)
    ended = jobs.run_inline(home, job.id, traces_jobs.HANDLERS)
    assert ended.state == "succeeded"
    return Repriced(**(ended.result or {}))


def test_a_new_price_reaches_back_and_every_sum_follows(home: Home, actor: Actor) -> None:
    spans = story()
    service.ingest(home, Scope(), spans[:25])
    background.catch_up(home)
    service.ingest(home, Scope(), spans[25:])  # above the mark: in no roll-up yet
    before = sums(home, actor)
    with home.begin() as uow:
        service.set_price(uow, actor, model="own-model", price=Price(input=2.0, output=4.0))
    planned = reprice.dry_run(home, actor, recent())
    assert sums(home, actor) == before
    done = run(home, actor, recent())
    assert done == planned
    assert done.calls == 40
    after = sums(home, actor)
    expected = (
        sum(2.0 * s.input_tokens + 4.0 * s.output_tokens for s in spans if s.model == "own-model") / 1e6
    )
    assert after["own-model"][2] == pytest.approx(expected)
    assert after["own-model"][3] == 0 < before["own-model"][3]
    assert after["gpt-4o"] == before["gpt-4o"]
    background.catch_up(home)
    assert sums(home, actor) == after
    with home.read() as uow:
        kept = service.get_span_body(uow, actor, trace_id=spans[2].trace_id, span_id=spans[2].span_id)
        priced = service.get_span_body(uow, actor, trace_id=spans[1].trace_id, span_id=spans[1].span_id)
    assert kept.price_version == GIVEN
    assert (priced.price_version or "").startswith("own:")
    assert run(home, actor, recent()).changed == 0


def test_costs_that_spans_brought_give_way_when_asked(home: Home, actor: Actor) -> None:
    service.ingest(home, Scope(), [call(model="gpt-4o", cost_usd=9.0, price_version=GIVEN)])
    assert run(home, actor, recent()).changed == 0
    wanted = Repricing(since=clock.now() - MONTH, given=True)
    done = run(home, actor, wanted)
    assert (done.calls, done.changed, done.before_usd) == (1, 1, 9.0)
    assert done.after_usd == pytest.approx((100 * 2.5 + 20 * 10) / 1e6)


def test_only_the_range_and_the_model_asked_for(home: Home, actor: Actor) -> None:
    now = clock.now()
    old = call(model="gpt-4o", cost_usd=1.0, price_version="old", start_ns=clock.to_ns(now - 2 * MONTH))
    new = call(model="gpt-4o-mini", cost_usd=1.0, price_version="old")
    service.ingest(home, Scope(), [old, new])
    service.ingest(home, Scope(project="other"), [call(cost_usd=1.0, price_version="old")])
    assert run(home, actor, Repricing(since=now - MONTH, model="gpt-4o")).calls == 0
    assert run(home, actor, Repricing(since=now - 3 * MONTH, until=now - MONTH)).changed == 1
    assert run(home, actor, recent()).changed == 1
    with pytest.raises(Invalid):
        reprice.dry_run(home, actor, Repricing(since=now, until=now))


def test_classes_with_prices_of_their_own_are_priced_again(home: Home, actor: Actor) -> None:
    span = call(model="m", input_tokens=1000, output_tokens=0, cached_tokens=100, cost_usd=None)
    fine = call(
        model="m", input_tokens=1000, output_tokens=0, cost_usd=None, finer_tokens={"audio_input": 600}
    )
    service.ingest(home, Scope(), [span, fine])
    with home.begin() as uow:
        price = Price(input=1.0, cached=0.1, audio_input=10.0)
        service.set_price(uow, actor, model="m", price=price)
    done = run(home, actor, recent())
    assert done.after_usd == pytest.approx((900 * 1 + 100 * 0.1 + 400 * 1 + 600 * 10) / 1e6)


def test_duplicates_are_priced_and_in_no_sum(home: Home, actor: Actor) -> None:
    one = call(response_id="r", cost_usd=1.0, price_version="old", attributes={"scope": {"name": "a"}})
    two = call(response_id="r", cost_usd=1.0, price_version="old", attributes={"scope": {"name": "b"}})
    service.ingest(home, Scope(), [one, two])
    background.catch_up(home)
    done = run(home, actor, recent())
    assert (done.changed, done.before_usd) == (2, 1.0)
    (row,) = sums(home, actor).values()
    assert row[:3] == (1, 100, pytest.approx(done.after_usd))


def test_it_goes_on_where_it_stopped(home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reprice, "_BATCH", 5)
    monkeypatch.setattr(reprice, "_BATCHES_PER_STEP", 2)
    service.ingest(home, Scope(), [call(cost_usd=1.0, price_version="old") for _ in range(33)])
    background.catch_up(home)
    recorded: dict[str, Any] = {}

    def stopping(name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if name in recorded:
            return dict(recorded[name])
        if len(recorded) == 2:
            work()  # written, and killed before it was recorded
            raise KeyboardInterrupt
        recorded[name] = work()
        return dict(recorded[name])

    with pytest.raises(KeyboardInterrupt):
        reprice.work(home, actor, recent(), checkpoint=stopping, on_progress=lambda _: None)
    seen: list[int] = []
    recorded["more"] = None

    def again(name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        return dict(recorded[name]) if name in recorded else work()

    done = reprice.work(
        home, actor, recent(), checkpoint=again, on_progress=lambda report: seen.append(report["calls"])
    )
    assert done.calls == 33 and seen[-1] == 33
    (row,) = sums(home, actor).values()
    assert row[2] == pytest.approx(33 * 0.000027)


def test_over_http(client: TestClient, home: Home) -> None:
    service.ingest(home, Scope(), [call(cost_usd=1.0, price_version="old")])
    asked = {"since": "2020-01-01T00:00:00Z"}
    dry = client.post("/api/v1/traces/reprice", json=asked | {"dry_run": True})
    assert dry.status_code == 202 and dry.json()["job"] is None
    assert (dry.json()["changed"], dry.json()["before_usd"]) == (1, 1.0)
    job = client.post("/api/v1/traces/reprice", json=asked).json()["job"]
    assert jobs.run_inline(home, job, traces_jobs.HANDLERS).result == {
        "calls": 1,
        "changed": 1,
        "unpriced": 0,
        "before_usd": 1.0,
        "after_usd": 0.000027,
    }
    actions = [entry["action"] for entry in client.get("/api/v1/audit").json()["items"]]
    assert {"prices.reprice", "prices.repriced"} <= set(actions)


def test_on_the_command_line(sqlite_home: Home) -> None:
    service.ingest(sqlite_home, Scope(), [call(cost_usd=1.0, price_version="old")])
    where = ["--home", str(sqlite_home.path), "--json"]
    for more in (["--dry-run"], []):
        done = CliRunner().invoke(app, ["reprice", "--since", "2020-01-01", *more, *where])
        assert done.exit_code == 0, done.output
        assert '"changed":1' in done.output.replace(" ", "")
    assert CliRunner().invoke(app, ["reprice", "--since", "never", *where]).exit_code == 1
