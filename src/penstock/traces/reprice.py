"""Pricing history anew: batches that can be stopped, repeated and taken up again, with every sum corrected."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.jobs import enqueue
from penstock.core.jobs.model import Job
from penstock.core.scope import Actor, Scope
from penstock.core.uow import UnitOfWork
from penstock.traces import prices
from penstock.traces.price_terms import with_finer
from penstock.traces.prices import Price, Usage
from penstock.traces.pricing import GIVEN, PriceTable
from penstock.traces.store import costs
from penstock.traces.store.costs import Billed, Window

JOB_KIND = "traces.reprice"
"""Spec: `since`, `until` (ISO 8601), `model`, `given`; result: the fields of `Repriced`."""
_BATCH, _BATCHES_PER_STEP = 1000, 5


class Repricing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to price anew."""

    since: datetime
    until: datetime | None = None
    model: str | None = None
    """The model that answered or was asked for; None: all."""
    given: bool = False
    """Whether costs that came with their spans give way to the book too, not only to the project's own prices."""

    def window(self) -> Window:
        """Return it as the store takes it; raises Invalid for an empty range."""
        if self.until is not None and self.until <= self.since:
            raise Invalid("`since` must be before `until`.")
        until = {} if self.until is None else {"until_ns": clock.to_ns(self.until)}
        return Window(since_ns=clock.to_ns(self.since), model=self.model, **until)


class Repriced(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. Money is of calls that count; one whose price nobody knows keeps the cost it had."""

    calls: int = 0
    """Calls that were looked at."""
    changed: int = 0
    unpriced: int = 0
    """Calls that have no cost, before and after."""
    before_usd: float = 0.0
    after_usd: float = 0.0

    def plus(self, other: "Repriced") -> "Repriced":
        """Return both together."""
        mine, theirs = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return Repriced(**{f: a + b for f, a, b in zip(self.__struct_fields__, mine, theirs, strict=True)})


class _Step(NamedTuple):
    after: int
    done: bool
    report: Repriced


def dry_run(home: Home, actor: Actor, wanted: Repricing) -> Repriced:
    """Return what pricing anew would do, in short transactions that only read."""
    with home.read() as uow:
        uow.may(actor, "prices.admin", "reprice")
    total = Repriced()
    for step in _steps(home, actor.scope, wanted, 0, write=False):
        total = total.plus(step.report)
    return total


def start(uow: UnitOfWork, actor: Actor, wanted: Repricing) -> Job:
    """Queue the work and audit who asked for it; it goes on where it was when its process dies."""
    uow.may(actor, "prices.admin", "reprice")
    wanted.window()
    spec: dict[str, Any] = msgspec.to_builtins(wanted)
    uow.audit(actor, "prices.reprice", wanted.model or "all models", **spec)
    return enqueue(uow, actor, JOB_KIND, spec)


def work(
    home: Home,
    actor: Actor,
    wanted: Repricing,
    *,
    checkpoint: Callable[[str, Callable[[], dict[str, Any]]], dict[str, Any]],
    on_progress: Callable[[dict[str, Any]], None],
) -> Repriced:
    """Price everything anew, a few thousand calls per checkpoint; returns and audits what was done.

    `checkpoint(name, work)` runs `work` or returns what it returned when it ran before. A batch that was written but
    not recorded is priced again to the same costs.
    """
    total, after, number, done = Repriced(), 0, 0, False
    while not done:
        number += 1
        from_row = after

        def some(from_row: int = from_row) -> dict[str, Any]:
            return _some(home, actor.scope, wanted, from_row)

        found = checkpoint(f"part {number}", some)
        after, done = found["after"], found["done"]
        total = total.plus(msgspec.convert(found["report"], Repriced))
        on_progress(msgspec.to_builtins(total))
    with home.begin() as uow:
        uow.audit(actor, "prices.repriced", wanted.model or "all models", **msgspec.to_builtins(total))
    return total


def _some(home: Home, scope: Scope, wanted: Repricing, after: int) -> dict[str, Any]:
    total = Repriced()
    for number, step in enumerate(_steps(home, scope, wanted, after, write=True), 1):
        total, after = total.plus(step.report), step.after
        if step.done or number == _BATCHES_PER_STEP:
            return {"after": after, "done": step.done, "report": msgspec.to_builtins(total)}
    return {"after": after, "done": True, "report": msgspec.to_builtins(total)}


def _steps(home: Home, scope: Scope, wanted: Repricing, after: int, *, write: bool) -> Iterator[_Step]:
    table, window = PriceTable(home), wanted.window()
    table.price_of(scope, None, None)  # reads the project's prices now, in a transaction of its own
    done = False
    while not done:
        with home.begin() if write else home.read() as uow:
            rows = costs.calls(uow.conn, scope, window, after=after, limit=_BATCH)
            finer = costs.finer_tokens(uow.conn, rows)
            fresh = {}
            for one in rows:
                cost = _cost(table, scope, one, finer.get(one.row, {}), given=wanted.given)
                if cost is not None and cost != (one.cost_nano, one.version):
                    fresh[one.row] = cost
            if write and fresh:
                costs.put(uow.conn, rows, fresh)
        after = rows[-1].row if rows else after
        done = len(rows) < _BATCH
        yield _Step(after, done, _report(rows, fresh))


def _report(rows: Sequence[Billed], fresh: dict[int, tuple[int, str]]) -> Repriced:
    counting = [one for one in rows if one.counts]
    before = sum(one.cost_nano or 0 for one in counting)
    after = sum(fresh[one.row][0] if one.row in fresh else one.cost_nano or 0 for one in counting)
    unpriced = sum(one.cost_nano is None and one.row not in fresh for one in counting)
    return Repriced(
        calls=len(rows), changed=len(fresh), unpriced=unpriced, before_usd=before / 1e9, after_usd=after / 1e9
    )


def _cost(
    table: PriceTable, scope: Scope, one: Billed, finer: dict[str, int], *, given: bool
) -> tuple[int, str] | None:
    """Return (nano-dollars, version) by the prices that hold now, or None when the call keeps its cost."""
    found = _price(table, scope, one, given=given)
    if found is None:
        return None
    usage = Usage(
        input=one.input,
        output=one.output,
        cached=one.cached,
        cache_write=one.cache_write,
        reasoning=one.reasoning,
    )
    return round(prices.amount(found[0], with_finer(usage, finer)) * 1e9), found[1]


def _price(table: PriceTable, scope: Scope, one: Billed, *, given: bool) -> tuple[Price, str] | None:
    listed = table.price_of(scope, one.model, one.provider)
    for found in (listed, table.price_of(scope, one.requested_model, one.provider)):
        if found is not None and found[1].startswith("own:"):
            return found
    return listed if given or one.version != GIVEN else None
