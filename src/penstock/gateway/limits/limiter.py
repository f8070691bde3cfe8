"""The door of limits for a web process: admit before a call, settle after it; memory only on the hot path."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from penstock.core import clock
from penstock.core.errors import Denied, LimitExceeded, Unavailable
from penstock.core.home import Home
from penstock.core.http.families import Family
from penstock.gateway.limits import calendar, leasing
from penstock.gateway.limits.bucket import Bucket
from penstock.gateway.limits.cap import Cap
from penstock.gateway.limits.estimate import Estimator, Pricer
from penstock.gateway.limits.leasing import Lessor
from penstock.gateway.limits.meter import Meter
from penstock.gateway.limits.meters import Meters
from penstock.gateway.limits.model import (
    SLOTS,
    AccountKey,
    Aside,
    Ask,
    Budget,
    NamedLimits,
    Subject,
    to_nano,
)
from penstock.gateway.limits.purse import Purse
from penstock.gateway.limits.rules import Rules
from penstock.gateway.limits.settings import LimitsSettings
from penstock.gateway.limits.slots import Slots
from penstock.gateway.limits.ticket import FREE, Headers, Ticket

MOST_PLANS = 50_000
LOOK_SECONDS = 0.25
RETRY_SECONDS = 2.0
_PER_MINUTE = (
    ("requests", "requests_per_minute"),
    ("input", "input_tokens_per_minute"),
    ("output", "output_tokens_per_minute"),
)
Short = list[tuple[Meter, float]]


class Plan(NamedTuple):
    """What a subject's calls are counted against during one UTC day."""

    start_ns: int
    end_ns: int
    meters: tuple[Meter, ...]
    hard: bool
    """Whether there is a hard budget among them."""


class Limiter:
    """Limits and budgets of all keys in this process. One per web process; any thread or event loop may use it."""

    def __init__(
        self, home: Home, pricer: Pricer, settings: LimitsSettings | None = None, *, leave: float = 0.0
    ) -> None:
        """Load the rules of `home`; raises what reading the store raises. `start` begins leasing.

        `leave` is the part of rates and of calls at once that these calls leave to others, 0 to 1: they can wait.
        """
        self._leave = leave
        self._settings = settings or home.settings.section(LimitsSettings)
        self.estimator = Estimator(pricer, self._settings)
        self._meters = Meters()
        self._plans: dict[Subject, Plan] = {}
        self._rules = leasing.load(home)
        self.lessor = Lessor(
            home, self._meters, self._settings, changed=self._change, tidy=self._tidy, leave=self._leave
        )

    def start(self) -> None:
        """Start the lease thread; without it only `lessor.turn` brings anything to the ledger."""
        self.lessor.start()

    def close(self) -> None:
        """Book everything and give all leases back."""
        self.lessor.close()

    @property
    def any(self) -> bool:
        """Whether there is any limit or budget at all: without one, nothing needs to be estimated."""
        return bool(self._rules)

    # -- the hot path --------------------------------------------------------------------------------------

    def try_admit(self, subject: Subject, ask: Ask) -> Ticket | None:
        """Reserve what a call may use, without waiting.

        Returns None when this process must lease more first: `await admit` then. Raises LimitExceeded when a limit
        is known to be reached or a budget to be spent, Denied when a model of unknown price meets a hard budget.
        """
        found = self._attempt(subject, ask)
        return found if isinstance(found, Ticket) else None

    async def admit(self, subject: Subject, ask: Ask) -> Ticket:
        """Reserve as `try_admit` does, waiting for the lease thread if need be, at most `wait_seconds`.

        While the database is away calls go on with what is leased, then with this process's equal share of the
        limits; hard budgets refuse (Unavailable) or allow them as the setting `when_unreachable` says.
        """
        attempt, stretch = partial(self._attempt, subject, ask), partial(self._stretched, subject, ask)
        return await self._until(attempt, stretch, self._settings.wait_seconds)

    async def aside(self, subject: Subject, ask: Ask, kind: Aside, *, seconds: float | None = None) -> Ticket:
        """Reserve money (nothing else) for what costs something beside a caller's answer; raises as `admit` does.

        It waits `seconds` at most, where that is less than `wait_seconds`.
        """
        subject = subject._replace(money_only=True)
        attempt, stretch = partial(self._attempt, subject, ask), partial(self._stretched, subject, ask)
        wait = self._settings.wait_seconds if seconds is None else seconds
        ticket = await self._until(attempt, stretch, wait)
        return ticket.aside(partial(self._meters.book_aside, str(kind)))

    async def within(self, cap: Budget, usd: float) -> Ticket:
        """Reserve `usd` of a cap that is no budget; raises LimitExceeded, and Unavailable without the ledger."""
        return await self._until(partial(self._within, cap, usd), _unreachable, self._settings.wait_seconds)

    async def _until(
        self, attempt: Callable[[], "Ticket | Short"], stretch: Callable[[], Ticket], seconds: float
    ) -> Ticket:
        deadline = clock.monotonic() + seconds
        while True:
            found = attempt()
            if isinstance(found, Ticket):
                return found
            if self.lessor.away:
                return stretch()
            left = deadline - clock.monotonic()
            if left <= 0:
                raise _too_slow(found[0][0])
            await self._wait(found, left)

    def _within(self, cap: Budget, usd: float) -> "Ticket | Short":
        key = AccountKey(cap.id, cap.subject, calendar.period_key(cap.period, clock.now_ns()))
        with self._meters.lock:
            purse = self._meters.all.get(key)
            if not isinstance(purse, Cap):
                purse = self._meters.all[key] = Cap(key, cap, self._settings.lease_ahead_seconds)
            if purse.budget != cap:
                purse.rule(cap)
            needs = [to_nano(usd)]
            if needs[0] > purse.free:
                return _lacking([purse], needs)
            self._meters.reserve([purse], needs)
            return Ticket(self._meters.book, [purse], needs)

    def headers(self, subject: Subject, family: Family = "openai") -> Headers:
        """Return what is left of a subject's limits per minute, in the family's words: for a call that is refused."""
        with self._meters.lock:
            plan = self._plans.get(subject)
        return Ticket(self._meters.book, plan.meters, ()).headers(family) if plan is not None else []

    async def _wait(self, short: Short, seconds: float) -> None:
        """Wait for a turn of the lease thread, but look up now and then whether the database still answers."""
        loop = asyncio.get_running_loop()
        woken = loop.create_future()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop may be closed by now: then nobody waits any more
                loop.call_soon_threadsafe(_resolve, woken)

        with self._meters.lock:
            self._meters.enlist(short, wake)
        try:
            await asyncio.wait([woken], timeout=min(seconds, LOOK_SECONDS))
        finally:
            self._meters.discharge(short, wake)

    def _attempt(self, subject: Subject, ask: Ask) -> Ticket | Short:
        """Return a ticket, or the meters that have too little with what they would need."""
        if not self._rules:
            return FREE
        now_ns = clock.now_ns()
        with self._meters.lock:
            plan = self._plans.get(subject)
            if plan is None or not plan.start_ns <= now_ns < plan.end_ns:
                plan = self._planned(subject, now_ns)
            meters = plan.meters
            if not meters:
                return FREE
            needs = self._needs(plan, ask)
            for meter, need in zip(meters, needs, strict=True):
                if need > meter.free:
                    break
            else:
                self._meters.reserve(meters, needs)
                return Ticket(self._meters.book, meters, needs)
            return _lacking(meters, needs)

    def _needs(self, plan: Plan, ask: Ask) -> list[float]:
        usd = ask.usd
        if usd is None:
            if plan.hard and self._settings.unpriced != "allow":
                raise _unpriced()
            usd = 0.0
        amounts = (1, ask.input_tokens, ask.max_output_tokens, 1, to_nano(usd))
        return [min(amounts[meter.index], meter.most) for meter in plan.meters]

    def _stretched(self, subject: Subject, ask: Ask) -> Ticket:
        """Admit without the ledger, as far as that is allowed."""
        now = clock.monotonic()
        with self._meters.lock:
            plan = self._plans.get(subject) or self._planned(subject, clock.now_ns())
            needs = self._needs(plan, ask)
            for meter, need in zip(plan.meters, needs, strict=True):
                if need <= meter.free:
                    continue
                if not self._leave and meter.stretch(need, now, self.lessor.lessees):
                    continue
                if not isinstance(meter, Purse):
                    raise _too_slow(meter)
                if self._settings.when_unreachable != "allow":
                    raise Unavailable(
                        f"The budget {meter.budget.name!r} cannot be checked: the database is away.",
                        hint="Try again in a moment.",
                        retry_after=RETRY_SECONDS,
                    )
            self._meters.reserve(plan.meters, needs)
            return Ticket(self._meters.book, plan.meters, needs)

    # -- plans and meters (under the lock) -----------------------------------------------------------------

    def _planned(self, subject: Subject, now_ns: int) -> Plan:
        meters: list[Meter] = []
        for named, name in self._rules.limits_of(subject):
            meters += self._limit_meters(named, name)
        hard = False
        for budget, name in self._rules.budgets_of(subject):
            key = AccountKey(budget.id, name, calendar.period_key(budget.period, now_ns))
            purse = self._meters.all.get(key)
            if purse is None:
                purse = self._meters.all[key] = Purse(key, budget, self._settings.lease_ahead_seconds)
            meters.append(purse)
            hard = hard or budget.hard
        if len(self._plans) >= MOST_PLANS:
            self._plans.clear()
        plan = Plan(*calendar.day_of(now_ns), tuple(meters), hard)
        self._plans[subject] = plan
        return plan

    def _limit_meters(self, named: NamedLimits, name: str) -> list[Meter]:
        limits, whose = named.limits, f"{named.kind} {name}"
        found: list[Meter] = []
        for measure, attribute in _PER_MINUTE:
            limit = getattr(limits, attribute)
            if limit is not None:
                key = AccountKey(named.id, name, measure)
                found.append(self._meters.all.get(key) or Bucket(key, limit, whose))
        if limits.concurrent is not None:
            key = AccountKey(named.id, name, SLOTS)
            found.append(self._meters.all.get(key) or Slots(key, limits.concurrent, whose))
        for meter in found:
            self._meters.all[meter.key] = meter
        return found

    def _change(self, rules: Rules) -> None:
        """Take over new rules: meters of changed ones follow, those of deleted ones are forgotten."""
        with self._meters.lock:
            self._rules = rules
            self._plans.clear()
            for key, meter in list(self._meters.all.items()):
                if not _follow(meter, rules.by_id.get(key.rule)):
                    del self._meters.all[key]
                    meter.gone()
                    self._meters.busy.discard(meter)
                else:
                    self._meters.busy.add(meter)

    def _tidy(self) -> None:
        with self._meters.lock:
            if self._meters.tidy():
                self._plans.clear()
        self.estimator.refresh()


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _lacking(meters: Sequence[Meter], needs: Sequence[float]) -> Short:
    """Return the meters that have too little; raises LimitExceeded when one of them is known to be used up."""
    now = clock.monotonic()
    short: Short = []
    for meter, need in zip(meters, needs, strict=True):
        if need > meter.free:
            if (refusal := meter.refusal(need, now)) is not None:
                raise refusal
            short.append((meter, need))
    return short


def _follow(meter: Meter, rule: NamedLimits | Budget | None) -> bool:
    """Let a meter follow its rule; False when the rule no longer has it."""
    if isinstance(meter, Cap):
        return True  # whoever made it tells it what it is
    if isinstance(meter, Purse):
        if isinstance(rule, Budget):
            meter.rule(rule)
        return isinstance(rule, Budget)
    if not isinstance(rule, NamedLimits):
        return False
    if isinstance(meter, Slots):
        if rule.limits.concurrent is not None:
            meter.rule(rule.limits.concurrent)
        return rule.limits.concurrent is not None
    assert isinstance(meter, Bucket)
    limit: int | None = getattr(rule.limits, dict(_PER_MINUTE)[meter.key.period])
    if limit is not None:
        meter.rule(limit)
    return limit is not None


def _unreachable() -> Ticket:
    raise Unavailable("The cap cannot be checked: the database is away.", retry_after=RETRY_SECONDS)


def _too_slow(meter: Meter) -> LimitExceeded:
    return LimitExceeded(
        f"Nothing more of the limits of {meter.key.subject} could be had in time.",
        hint="Try again in a moment.",
        details={"code": "rate_limit_exceeded", "type": "requests"},
        retry_after=1.0,
    )


def _unpriced() -> Denied:
    return Denied(
        "This model has no price, and the key works under a hard budget.",
        hint='Set one with `penstock prices set`, or allow it: [limits] unpriced = "allow".',
        details={"code": "model_without_price", "param": "model"},
    )
