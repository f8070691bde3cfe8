"""A new configuration under load: calls in flight end as they began, and none is dropped."""

import concurrent.futures
import threading
from collections.abc import Iterable

from penstock.gateway import service, snapshot
from tests.fakes import openai
from tests.fakes.moody import MoodyUpstream
from tests.fakes.server import END, Received, Step, chunk, stream_head
from tests.gateway.conftest import Running, Waiter
from tests.gateway.routing.conftest import Configure
from tests.gateway.test_http import call

CHAT = {"model": "r", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = CHAT | {"model": "old", "stream": True}


def test_a_new_configuration_drops_no_call(
    gateway: Running, moody: MoodyUpstream, route: Configure, eventually: Waiter
) -> None:
    changed, done = threading.Event(), threading.Event()

    def patient(request: Received) -> Iterable[Step]:
        yield stream_head()
        first, *rest = openai.chat_events(request.json)
        yield chunk(first)
        while not changed.is_set():
            yield 0.05
        yield from (chunk(each) for each in rest)
        yield END

    moody.moods["slow"] = patient
    gone = {"gone": {"kind": "openai", "base_url": moody.base_url}}
    gateway.configure(gone, {"old": {"targets": [{"provider": "gone", "model": "slow"}], "retries": 0}})
    route("a")

    def many() -> list[int]:
        statuses = []
        while not done.is_set():
            statuses.append(call(gateway, CHAT)[0])
        return statuses

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        try:
            streams = [pool.submit(call, gateway, STREAM) for _ in range(3)]
            loops = [pool.submit(many) for _ in range(3)]
            eventually(lambda: moody.calls["slow"] == 3)
            for model in ("b", "c", "d"):
                route(model)
            with gateway.home.begin() as uow:
                service.delete_route(uow, gateway.actor, "old")
                service.delete_provider(uow, gateway.actor, "gone")
            watch = gateway.app._watch
            eventually(lambda: watch.current.revisions == snapshot.revisions(gateway.home))
            assert call(gateway, STREAM)[0] == 404
        finally:
            changed.set()
            done.set()
    for found in streams:
        status, headers, body = found.result()
        assert (status, headers["x-penstock-target"]) == (200, "gone/slow")
        assert body.endswith(b"data: [DONE]\n\n")
    statuses = [status for found in loops for status in found.result()]
    assert len(statuses) > 10 and set(statuses) == {200}
    assert all(moody.calls[model] for model in "abcd")
