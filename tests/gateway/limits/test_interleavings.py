"""Any order of calls, crashes, false deaths and lost answers over several processes keeps to the budget."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.core import clock
from penstock.core.errors import Busy, LimitExceeded, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway.limits import service
from penstock.gateway.limits.limiter import Limiter
from penstock.gateway.limits.model import NANO, to_nano
from penstock.gateway.limits.settings import LimitsSettings
from penstock.gateway.limits.store import ledger
from penstock.gateway.limits.ticket import Ticket
from tests.conftest import owner_of
from tests.gateway.limits.conftest import CALLER, ListPrices, ask, budget, put, spend

WORKERS = 3


class Flaky:
    """A home whose next transaction fails before it commits, or after it (the answer is lost)."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.fail = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._home, name)

    @contextmanager
    def begin(self) -> Iterator[Any]:
        fail, self.fail = self.fail, ""
        with self._home.begin() as uow:
            yield uow
            if fail == "before":
                raise Busy("locked")
        if fail == "after":
            raise Busy("the answer is lost")


@dataclass
class World:
    """Processes driven by hand, and what was really spent upstream."""

    home: Home
    actor: Actor
    workers: list[Limiter] = field(default_factory=list)
    homes: list[Flaky] = field(default_factory=list)
    calls: list[list[tuple[Ticket, int]]] = field(default_factory=list)
    spent: int = 0
    excess: int = 0
    crashed: int = 0

    def boot(self, index: int) -> None:
        self.homes[index] = Flaky(self.home)
        self.workers[index] = Limiter(self.homes[index], ListPrices(), LimitsSettings(flush_ms=1))  # type: ignore[arg-type]
        self.calls[index] = []

    def begin(self, index: int, usd: float) -> None:
        worker = self.workers[index]
        try:
            for _ in range(2):
                found = worker._attempt(CALLER, ask(usd))
                if isinstance(found, Ticket):
                    self.calls[index].append((found, to_nano(usd)))
                    return
                with worker._meters.lock:
                    worker._meters.enlist(found, _nobody)
                worker.lessor.turn()
                worker._meters.discharge(found, _nobody)
        except LimitExceeded:
            return

    def end(self, index: int, share: float) -> None:
        if self.calls[index]:
            ticket, reserved = self.calls[index].pop(0)
            cost = int(reserved * share)
            self.spent += cost
            self.excess += max(0, cost - reserved)
            ticket.settle(0, 0, cost / NANO)

    def cancel(self, index: int) -> None:
        if self.calls[index]:
            self.calls[index].pop()[0].cancel()

    def crash(self, index: int) -> None:
        self.spent += sum(reserved for _, reserved in self.calls[index])
        self.boot(index)

    def bury(self, index: int) -> None:
        with self.home.begin() as uow:
            ledger.bury(uow.conn, self.workers[index].lessor.id, clock.now() + timedelta(hours=1))

    def tidy(self, index: int) -> None:
        self.workers[index]._tidy()
        self.workers[index].lessor.turn()

    def check(self, cap: int) -> None:
        assert self.spent <= cap + self.excess
        state = spend(self.home, self.actor)
        assert round((state.spent + state.reserved) * NANO) <= cap + self.excess


def _nobody() -> None:
    """Nobody waits."""


INDEX = st.integers(0, WORKERS - 1)
STEP = st.one_of(
    st.tuples(st.just("begin"), INDEX, st.sampled_from([0.01, 0.05, 0.3])),
    st.tuples(st.just("end"), INDEX, st.sampled_from([0.0, 0.4, 1.0, 1.0, 1.5])),
    st.tuples(st.sampled_from(["turn", "cancel", "crash", "bury", "tidy", "before", "after"]), INDEX),
)


def play(world: World, steps: list[tuple[Any, ...]], cap: int) -> None:
    for name, index, *rest in steps:
        if name in ("before", "after"):
            world.homes[index].fail = name
        elif name == "turn":
            world.workers[index].lessor.flush()
        else:
            getattr(world, name)(index, *rest)
        world.check(cap)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEP, min_size=10, max_size=60))
def test_no_order_of_events_passes_the_budget_or_loses_spend(
    sqlite_home: Home, steps: list[tuple[Any, ...]]
) -> None:
    actor = owner_of(sqlite_home)
    with sqlite_home.begin() as uow, contextlib.suppress(NotFound):
        service.delete_budget(uow, actor, "cap")
    put(sqlite_home, actor, budget(1.0))
    world = World(sqlite_home, actor)
    for index in range(WORKERS):
        world.workers.append(None)  # type: ignore[arg-type]
        world.homes.append(None)  # type: ignore[arg-type]
        world.calls.append([])
        world.boot(index)
    play(world, steps, NANO)
    for index in range(WORKERS):
        while world.calls[index]:
            world.end(index, 1.0)
        world.homes[index].fail = ""
        world.workers[index].close()
    world.check(NANO)
    state = spend(sqlite_home, actor)
    # A crash may lose what calls cost beyond their reservations since the last flush, and nothing else.
    crashed = any(step[0] == "crash" for step in steps)
    assert round((state.spent + state.reserved) * NANO) >= world.spent - (world.excess if crashed else 0)
    if not crashed:
        assert (round(state.spent * NANO), state.reserved) == (world.spent, 0.0)
