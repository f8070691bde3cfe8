import errno
import multiprocessing
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as given_
from hypothesis import strategies as st

from penstock.core.errors import Unavailable
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.traces import background, service, spool
from penstock.traces.intake import Intake
from penstock.traces.recorder import Recorder
from penstock.traces.settings import TracesSettings
from penstock.traces.spool import Segment, SpoolWriter
from tests.traces.build import call


def drained(home: Home) -> int:
    intake = Intake(home)
    try:
        return intake.drain()
    finally:
        intake.close()


def counted(home: Home, actor: Actor) -> int:
    drained(home)
    with home.read() as uow:
        return sum(row.calls for row in service.usage(uow, actor, group_by="kind"))


def test_recorded_spans_arrive_without_asking(home: Home, actor: Actor) -> None:
    recorder = Recorder(home)
    for _ in range(50):
        recorder.record(actor.scope, call())
    deadline = time.monotonic() + 60
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
    monkeypatch.setattr(
        sqlite_home.settings, "section", lambda _cls: TracesSettings(buffer_spans=10, commit_ms=60_000)
    )
    recorder = Recorder(sqlite_home)
    for _ in range(30):
        recorder.record(Scope(), call())
    assert recorder.dropped >= 20
    recorder.close()
    assert recorder.recorded + recorder.dropped == 30 and recorder.recorded >= 10


def test_large_bodies_fill_the_buffer_by_their_size(
    sqlite_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TracesSettings(buffer_mb=1, commit_ms=60_000)
    monkeypatch.setattr(sqlite_home.settings, "section", lambda _cls: settings)
    recorder = Recorder(sqlite_home)
    for _ in range(5):
        recorder.record(
            Scope(), call(input=b'"' + b"x" * 200_000 + b'"', output=b'"' + b"y" * 100_000 + b'"')
        )
    assert recorder.dropped == 2
    recorder.record(Scope(), call(input=b'"small"'))
    recorder.close()
    assert (recorder.recorded, recorder.dropped) == (4, 2)
    assert drained(sqlite_home) == 4


def test_what_was_written_makes_room_for_more(sqlite_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_home.settings, "section", lambda _cls: TracesSettings(buffer_mb=1))
    recorder = Recorder(sqlite_home)
    for _ in range(5):
        recorder.record(Scope(), call(input=b'"' + b"x" * 600_000 + b'"'))
        assert recorder.flush()
    recorder.close()
    assert (recorder.recorded, recorder.dropped) == (5, 0)


def test_a_frame_holds_no_more_than_a_few_large_bodies(sqlite_home: Home) -> None:
    recorder = Recorder(sqlite_home)
    with recorder._idle:  # the thread that writes waits
        for _ in range(12):
            recorder.record(Scope(), call(input=b'"' + b"x" * 1_000_000 + b'"'))
    recorder.close()
    segments = [Segment(path) for path in spool.folder_of(sqlite_home.path).glob("*.spool")]
    frames = [len(frame) for segment in segments for frame in segment.frames()]
    for segment in segments:
        segment.close()
    assert sum(frames) == 12
    assert max(frames) <= 6


def test_a_locked_database_stops_nobody_and_nothing_is_lost(sqlite_home: Home, actor: Actor) -> None:
    recorder = Recorder(sqlite_home)
    with sqlite_home.begin():
        for _ in range(30):
            recorder.record(actor.scope, call())
        assert recorder.flush(timeout=60)
    recorder.close()
    assert counted(sqlite_home, actor) == 30 and recorder.dropped == 0


def test_a_database_that_is_gone_for_a_while_gets_everything_later(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> Any:
        raise Unavailable("The database does not answer.")

    recorder = Recorder(home)
    for _ in range(5):
        recorder.record(actor.scope, call())
    recorder.record(actor.scope, call(trace_id="broken"))
    recorder.close()
    stop = threading.Event()
    working = threading.Thread(target=Intake(home).run, args=(stop,))
    with monkeypatch.context() as patched:
        patched.setattr(home, "begin", gone)
        working.start()
        time.sleep(0.3)
        assert spool.waiting(spool.folder_of(home.path)) > 0
    deadline = time.monotonic() + 60
    while spool.segments(spool.folder_of(home.path)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    stop.set()
    working.join()
    assert counted(home, actor) == 5


def test_a_full_disk_keeps_spans_in_memory_until_there_is_room(
    sqlite_home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def full(file: int, data: bytes) -> int:
        if len(data) < 200:
            return real(file, data)
        if room:
            return real(file, data)
        real(file, data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    room: list[bool] = []
    monkeypatch.setattr("penstock.traces.spool.os.write", full)
    recorder = Recorder(sqlite_home)
    for _ in range(5):
        recorder.record(actor.scope, call())
    assert not recorder.flush(timeout=0.4)
    room.append(True)
    assert recorder.flush(timeout=60)
    recorder.close()
    assert counted(sqlite_home, actor) == 5 and recorder.dropped == 0


def test_a_full_spool_drops_and_counts(sqlite_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_home.settings, "section", lambda _cls: TracesSettings(spool_mb=0))
    recorder = Recorder(sqlite_home)
    recorder.record(Scope(), call())
    recorder.close()
    assert (recorder.recorded, recorder.dropped) == (0, 1)


def test_segments_are_bounded_and_removed_once_read(sqlite_home: Home, actor: Actor) -> None:
    folder = spool.folder_of(sqlite_home.path)
    writer = SpoolWriter(folder, limit=1 << 30, segment=1000)
    for _ in range(6):
        writer.write([(actor.scope, call())])
    assert len(spool.segments(folder)) >= 3
    assert drained(sqlite_home) == 6 and drained(sqlite_home) == 0
    assert len(spool.segments(folder)) == 1  # the one still written to
    writer.write([(actor.scope, call())])
    writer.close()
    assert drained(sqlite_home) == 1
    assert list(folder.iterdir()) == []


def test_an_intake_that_stops_goes_on_where_it_was_and_repeats_nothing(
    sqlite_home: Home, actor: Actor
) -> None:
    folder = spool.folder_of(sqlite_home.path)
    writer = SpoolWriter(folder, limit=1 << 30)
    writer.write([(actor.scope, call()), (actor.scope, call())])
    assert drained(sqlite_home) == 2
    writer.write([(actor.scope, call())])
    assert drained(sqlite_home) == 1
    (path,) = spool.segments(folder)
    path.with_suffix(".read").write_text("0")  # killed between the commit and the mark
    assert drained(sqlite_home) == 3
    assert counted(sqlite_home, actor) == 3
    writer.close()


@pytest.mark.parametrize("cut", [1, 7, 8, 20, -1])
def test_a_frame_cut_short_is_not_part_of_the_spool(sqlite_home: Home, actor: Actor, cut: int) -> None:
    folder = spool.folder_of(sqlite_home.path)
    writer = SpoolWriter(folder, limit=1 << 30)
    writer.write([(actor.scope, call())])
    (path,) = spool.segments(folder)
    whole = path.stat().st_size
    writer.write([(actor.scope, call())])
    writer.close()
    size = path.stat().st_size
    os.truncate(path, whole + cut if cut > 0 else size - 1)
    assert drained(sqlite_home) == 1
    assert spool.segments(folder) == []


@given_(st.binary(max_size=300))
def test_garbage_in_the_spool_harms_nothing(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    path = tmp_path_factory.mktemp("spool") / "seg_x.spool"
    path.write_bytes(junk)
    segment = Segment(path)
    assert [span for frame in segment.frames() for span in frame] == []
    segment.close()


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
    drained(home)
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
