"""Replicas end with the process that keeps them: nobody counts on what it wrote once it is gone."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway import service as gateway
from penstock.serving import keeper, routing, service, store
from penstock.serving.model import Replica, ReplicaState
from tests.fakes.engine import FakeEngine
from tests.serving.test_service import Make


def other() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def test_a_process_is_told_from_a_later_one_of_the_same_number() -> None:
    here = keeper.mark()
    place, pid, began = here.split("|")
    assert (int(pid), keeper.has_ended(here)) == (os.getpid(), False)
    assert keeper.has_ended(f"{place}|{pid}|{began}0"), "the number was given again"
    assert not keeper.has_ended(f"elsewhere|{pid}|1"), "another machine is not asked"
    assert not keeper.has_ended(""), "an earlier release did not write it"
    running = other()
    with running:
        mark = keeper.mark(running.pid)
        assert not keeper.has_ended(mark)
        running.kill()
        os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
        assert keeper.has_ended(mark), "dead, and not yet fetched by its parent"
    assert keeper.has_ended(mark)


@pytest.fixture
def killed() -> str:
    """Return the mark of a process that has ended."""
    running = other()
    with running:
        mark = keeper.mark(running.pid)
        running.kill()
    return mark


def test_what_a_killed_process_kept_is_neither_ready_nor_offered(
    home: Home, actor: Actor, engine: FakeEngine, model: Make, killed: str
) -> None:
    ref = model(1)
    ready = Replica(
        number=1,
        position=0,
        state=ReplicaState.READY,
        url="http://127.0.0.1:1",
        pid=1,
        since=clock.now(),
        keeper=keeper.mark(),
    )
    with home.begin() as uow:
        live = service.deploy(uow, actor, name="triage", model=ref)
        store.save_replica(uow.conn, live.id, ready)
        routing.sync(uow, actor.scope, live)
    assert routing.forget_ended(home) == 0, "its keeper lives"
    with home.begin() as uow:
        assert service.status(uow, actor, name="triage").production.ready
        assert gateway.list_endpoints(uow)["triage@1"] == ("http://127.0.0.1:1",)
        store.save_replica(uow.conn, live.id, replace(ready, keeper=killed))
        (seen,) = service.status(uow, actor, name="triage").production.replicas
        assert (seen.state, seen.url, seen.pid) == (ReplicaState.PENDING, "", None)
        assert "ended" in seen.reason
    assert routing.forget_ended(home) == 1
    with home.begin() as uow:
        assert gateway.list_endpoints(uow).get("triage@1", ()) == ()
        store.save_replica(
            uow.conn, live.id, replace(ready, keeper=killed, state=ReplicaState.FAILED, reason="no memory")
        )
        (seen,) = service.status(uow, actor, name="triage").production.replicas
        assert (seen.state, seen.reason) == (ReplicaState.FAILED, "no memory"), "why it failed stays known"
