"""How a batch's calls are made: a few at once, backing off, stopping."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from penstock.core.errors import Upstream
from penstock.gateway.batches import calling, running
from penstock.gateway.batches.calling import Answer
from penstock.gateway.batches.lines import Item
from penstock.gateway.batches.model import Line
from penstock.gateway.batches.running import Runner, Stop


class Stage:
    """A scripted gateway; `answers` holds (status, retry-after) for each call to come, then 200s."""

    def __init__(self, *answers: tuple[int, bytes], seconds: float = 0.01, limited: bool = False) -> None:
        self.answers = list(answers)
        self.limited = limited
        self.seconds = seconds
        self.began: list[float] = []
        self.now = self.most = 0
        self.recorded: list[Line] = []
        self.stop: Stop | None = None

    async def call(self, path: str, headers: Mapping[bytes, bytes], body: bytes) -> Answer:
        assert (path, headers) == ("/v1/x", {b"a": b"b"})
        self.began.append(time.monotonic())
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.seconds)
        self.now -= 1
        status, after = self.answers.pop(0) if self.answers else (200, b"0")
        headers = {b"retry-after": after, b"x-request-id": b"req_1"}
        if self.limited and status == 429:
            headers[b"x-penstock-limit"] = b"requests per minute"
        return Answer(status, headers, b'{"ok": 1.50}')

    def run(self, count: int, concurrency: int = 3) -> Stop | None:
        async def main() -> Stop | None:
            runner = Runner(
                self.call, "/v1/x", {b"a": b"b"}, concurrency=concurrency, record=self.recorded.extend
            )
            return await runner.run((Item(n, f"c{n}", b"{}") for n in range(count)), lambda: self.stop)

        return asyncio.run(main())


def test_no_more_calls_at_once_than_allowed() -> None:
    stage = Stage()
    assert stage.run(20) is None
    assert sorted(line.number for line in stage.recorded) == list(range(20))
    assert stage.most == 3
    assert b'"body":{"ok": 1.50}' in stage.recorded[0].result  # byte for byte


def test_all_calls_wait_when_one_is_told_to() -> None:
    stage = Stage((429, b"1"))
    assert stage.run(6) is None
    assert all(line.good for line in stage.recorded) and len(stage.recorded) == 6
    pause = max(b - a for a, b in zip(sorted(stage.began), sorted(stage.began)[1:], strict=False))
    assert pause >= 0.9


def test_a_server_error_is_tried_again_and_then_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "FIRST_PAUSE", 0.01)
    stage = Stage((502, b""), (500, b"x"))
    assert stage.run(1, 1) is None
    assert stage.recorded[0].good
    stage = Stage(*[(504, b"")] * 3)
    assert stage.run(1, 1) is None
    assert not stage.recorded[0].good and b'"status_code":504' in stage.recorded[0].result


def test_a_batch_yields_to_other_calls_for_as_long_as_they_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "FIRST_PAUSE", 0.001)
    stage = Stage(*[(429, b"")] * 40, limited=True)
    assert stage.run(1, 1) is None
    assert (stage.recorded[0].good, len(stage.began)) == (True, 41)


def test_a_refusal_that_stays_is_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "FIRST_PAUSE", 0.001)
    stage = Stage(*[(429, b"")] * 13)
    assert stage.run(1, 1) is None
    assert (stage.recorded[0].good, len(stage.began)) == (False, 13)


def test_a_call_that_breaks_is_an_error_of_its_line() -> None:
    stage = Stage()

    async def broken(*_: Any) -> Answer:
        raise Upstream("Broken.")

    stage.call = broken  # type: ignore[method-assign]
    assert stage.run(2) is None
    assert b'"error":{"code":"upstream_error","message":"Broken."}' in stage.recorded[0].result


@pytest.mark.parametrize("stop", [Stop.CANCELLED, Stop.EXPIRED, Stop.PAUSED])
def test_a_stop_lets_calls_in_flight_end(stop: Stop) -> None:
    stage = Stage(seconds=0.3)
    stage.stop = stop
    assert stage.run(50) is stop
    assert len(stage.began) == len(stage.recorded) <= 6


def test_a_lost_batch_is_left_at_once() -> None:
    stage = Stage(seconds=30)
    stage.stop = Stop.LOST
    began = time.monotonic()
    assert stage.run(5) is Stop.LOST
    assert time.monotonic() - began < 5 and stage.recorded == []


def test_a_stop_does_not_wait_for_a_pause() -> None:
    stage = Stage(*[(429, b"50")] * 3)
    began = time.monotonic()
    looks = iter([None, None, None, *[Stop.PAUSED] * 100])
    stage.stop = None
    type(stage).stop = property(lambda _: next(looks), lambda *_: None)  # type: ignore[assignment]
    try:
        assert stage.run(3) is Stop.PAUSED
    finally:
        del type(stage).stop
    assert time.monotonic() - began < 10 and stage.recorded == []


def test_what_recording_raises_ends_the_batch() -> None:
    stage = Stage()

    def full(_: object) -> None:
        raise OSError("disk full")

    stage.recorded = type("Full", (list,), {"extend": lambda _, lines: full(lines)})()
    with pytest.raises(OSError, match="disk full"):
        stage.run(5)


def test_an_application_that_says_nothing_is_an_error() -> None:
    async def silent(*_: Any) -> None:
        return None

    async def main() -> None:
        with pytest.raises(Upstream):
            await calling.call(silent, "/v1/x", {}, b"", extra={})

    asyncio.run(main())
