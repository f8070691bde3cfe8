import multiprocessing
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import StorageFull
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.traces import background, service
from penstock.traces.recorder import Recorder
from penstock.traces.settings import TracesSettings
from tests.traces.build import call


def counted(home: Home, actor: Actor) -> int:
    with home.read() as uow:
        return sum(row.calls for row in service.usage(uow, actor, group_by="kind"))


def test_recorded_spans_arrive_without_asking(home: Home, actor: Actor) -> None:
    recorder = Recorder(home)
    for _ in range(50):
        recorder.record(actor.scope, call())
    deadline = time.monotonic() + 20
    while counted(home, actor) < 50:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    recorder.close()
    assert (recorder.recorded, recorder.dropped) == (50, 0)


def test_flush_waits_and_close_writes_the_rest(home: Home, actor: Actor) -> None:
    recorder = Recorder(home)
    spans = [call() for _ in range(2500)]
    for span in spans[:2000]:
        recorder.record(actor.scope, span)
    assert recorder.flush()
    assert counted(home, actor) == 2000
    for span in spans[2000:]:
        recorder.record(actor.scope, span)
    recorder.close()
    assert counted(home, actor) == 2500
    recorder.record(actor.scope, call())
    assert recorder.dropped == 1


def test_a_full_buffer_drops_and_counts_and_never_waits(
    sqlite_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_home.settings, "section", lambda _cls: TracesSettings(buffer_spans=10))
    recorder = Recorder(sqlite_home)
    with sqlite_home.begin():
        for _ in range(30):
            recorder.record(Scope(), call())
        assert recorder.dropped >= 20
        assert not recorder.flush(timeout=0.05)
    assert recorder.flush()
    recorder.close()
    assert recorder.recorded + recorder.dropped == 30


def test_what_the_database_refuses_is_counted_and_later_spans_still_arrive(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> Any:
        raise StorageFull("The disk is full.")

    recorder = Recorder(home)
    with monkeypatch.context() as patched:
        patched.setattr(home, "begin", full)
        recorder.record(actor.scope, call())
        assert recorder.flush()
    assert recorder.dropped == 1
    recorder.record(actor.scope, call(trace_id="broken"))
    recorder.record(actor.scope, call())
    recorder.close()
    assert (recorder.recorded, recorder.dropped) == (1, 2)
    assert counted(home, actor) == 1


def test_a_project_s_own_price_applies_to_what_is_recorded(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        service.put_price(
            uow, actor, model="triage*", provider="local", input_per_mtok=2.0, output_per_mtok=4.0
        )
        service.put_price(uow, actor, model="*", input_per_mtok=1.0)
    recorder = Recorder(home)
    given: dict[str, Any] = {
        "input_tokens": 1000,
        "output_tokens": 500,
        "cost_usd": None,
        "price_version": None,
    }
    spans = [
        call(model="triage-small", provider="local", **given),
        call(model="other", provider="local", **given),
        call(model="gpt-4o-mini", kind="agent", **given),
    ]
    for span in spans:
        recorder.record(actor.scope, span)
    recorder.record(Scope("default", "other"), call(model="unheard-of", **given))
    recorder.close()
    with home.read() as uow:
        costs = [service.get_trace(uow, actor, trace_id=span.trace_id).spans[0].cost_usd for span in spans]
        (row,) = service.usage(uow, actor.within("other"))
    assert costs == [pytest.approx(0.004), pytest.approx(0.001), None]
    assert (row.unpriced, row.cost_usd) == (1, 0)


def _write(path: Path, url: str | None, project: str, count: int) -> None:
    with Home.open(path) as home:
        for _ in range(count):
            service.ingest(home, Scope("default", project), [call(user="ada"), call()])


@pytest.mark.timeout(240)
def test_several_processes_write_and_roll_at_once(home: Home, actor: Actor) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_write, args=(home.path, None, project, 40))
        for project in ("default", "other", "default")
    ]
    for writer in writers:
        writer.start()
    stop = threading.Event()

    def tick() -> None:
        while not stop.is_set():
            background.tick(home)
            stop.wait(0.01)

    ticker = threading.Thread(target=tick)
    ticker.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    stop.set()
    ticker.join()
    assert (counted(home, actor), counted(home, actor.within("other"))) == (160, 80)
    background.catch_up(home)
    assert (counted(home, actor), counted(home, actor.within("other"))) == (160, 80)
    with home.read() as uow:
        (row,) = service.usage(uow, actor, group_by="user")
    assert row.calls == 80
