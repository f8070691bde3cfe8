"""A limit per minute in this process: tokens of a bucket that all processes share and time fills."""

from typing import NamedTuple

from penstock.core.errors import LimitExceeded
from penstock.core.uow import UnitOfWork
from penstock.gateway.limits.meter import Errand, Meter, Sharing
from penstock.gateway.limits.model import AccountKey
from penstock.gateway.limits.store import ledger

SECONDS = 60.0
AHEAD_SECONDS = 2.0
WORDS = {"requests": "requests", "input": "input tokens", "output": "output tokens"}
OPTIONS = {"requests": "--requests", "input": "--input-tokens", "output": "--output-tokens"}
INDEXES = {"requests": 0, "input": 1, "output": 2}


class Level(NamedTuple):
    """What an errand brought, and what is left in the shared bucket."""

    granted: float
    level: float
    spare: float
    """What this process might still have had."""


class Bucket(Meter):
    """What this process holds of one limit per minute. The shared bucket holds a minute's worth when full."""

    __slots__ = ("_dripped", "_dripped_at", "level", "level_at", "limit", "taken", "whose")

    def __init__(self, key: AccountKey, limit: int, whose: str) -> None:
        super().__init__(key, INDEXES[key.period], limit)
        self.limit = limit
        self.whose = whose
        self.taken: float = 0
        """What was used since the last errand: the pace."""
        self.level: float = limit
        self.level_at = 0.0
        self._dripped: float = 0
        """Taken while the ledger was away: to be booked when it is back."""
        self._dripped_at = 0.0

    def rule(self, limit: int) -> None:
        """Take over a changed limit."""
        if limit != self.limit:
            self.limit = self.most = limit
            self.giving = True
        self.denied_until = 0.0

    def settle(self, held: float, actual: float) -> bool:
        """Book what a call used; what it used beyond its reservation is owed."""
        self.reserved -= held
        self.free += held - actual
        if actual < held:
            self.denied_until = 0.0
        self.taken += actual
        return self.free < 0 or bool(self.waiting)

    def errand(self, now: float, booked: Errand | None) -> Errand:  # noqa: ARG002 - a Meter's signature
        """Return what goes back or is owed (below 0), and what to lease."""
        if booked is not None:
            give = booked.give
        else:
            given = self.hand_over()
            give, self._dripped = (given or 0) - self._dripped, 0
            if self.free < 0:
                give += self.free
                self.free = 0
            if given is not None:
                return Errand(give=give)
        taken, self.taken = self.taken, 0
        last = max(self.waiting, default=0)
        return self.wants(max(4 * last, taken * AHEAD_SECONDS * 4))._replace(give=give)

    def trade(self, uow: UnitOfWork, sharing: Sharing, errand: Errand) -> Level:
        """Fill the shared bucket by the time that has passed, book, and take."""
        now, limit = sharing.now(), float(self.limit)
        level, at = ledger.open_bucket(uow.conn, self.key, limit, now)
        # A clock that went back (the machine was started anew) fills nothing; one that leapt fills it once.
        passed = min(max(0.0, now - at), SECONDS)
        level = min(limit, level + passed * limit / SECONDS)
        if sharing.fresh:
            level = max(-limit, min(limit, level + errand.give))
        spare = level
        if sharing.leave:
            # A call that needs more than what may ever be spare goes when the bucket is full: nobody else is calling.
            full = level >= limit * (1 - 1e-6)
            spare = max(level - limit * sharing.leave, min(errand.least, level) if full else 0.0)
        granted = 0.0
        if spare >= errand.least and spare > 0:
            ahead = min(errand.wish, limit * sharing.fraction, spare / (2 * sharing.lessees))
            granted = min(spare, max(errand.needs, ahead))
        ledger.write_bucket(uow.conn, self.key, level - granted, now)
        return Level(granted, level - granted, spare - granted)

    def learn(self, found: object, errand: Errand, now: float) -> None:
        """Take over what was granted."""
        assert isinstance(found, Level)
        self.free += found.granted
        self.level, self.level_at = found.level, now
        if self.lacks(found.granted, errand):
            lacking = (errand.least - found.spare) * SECONDS / self.limit
            self.deny(errand.smallest, now + min(SECONDS, max(0.02, lacking)))
            return
        self.low = max(0, self.free / 2)

    def stretch(self, need: float, now: float, lessees: int) -> bool:
        """Without the ledger a process fills its own bucket at an equal share of the limit."""
        share = self.limit / max(1, lessees)
        passed = min(SECONDS, now - self._dripped_at) if self._dripped_at else SECONDS / 4
        self._dripped_at = now
        drip = min(passed * share / SECONDS, max(0.0, max(share, need) - self.free))
        self.free += drip
        self._dripped += drip
        return self.free >= need

    def refusal(self, need: float, now: float) -> LimitExceeded | None:
        """Return why `need` is refused, when that is known."""
        if need < self.denied_need or now >= self.denied_until:
            return None
        again = max(0.02, self.denied_until - now)
        what = WORDS[self.key.period]
        return LimitExceeded(
            f"The limit of {self.limit} {what} per minute of {self.whose} is reached.",
            hint=(
                f"Try again in {again:.1f} s, or raise it: "
                f"`penstock limits set {self.whose} {OPTIONS[self.key.period]} N`."
            ),
            details={
                "code": "rate_limit_exceeded",
                "type": "requests" if self.key.period == "requests" else "tokens",
                "limit": f"{what} per minute",
            },
            retry_after=again,
        )

    def remaining(self, now: float) -> tuple[int, float]:
        """Return what is left as far as this process knows, and the seconds until the bucket is full again."""
        limit = self.limit
        left = self.level + self.free
        if self.level_at and now > self.level_at:
            left += (now - self.level_at) * limit / SECONDS
        if left >= limit:
            return limit, 0.0
        if left <= 0.0:
            return 0, SECONDS
        return int(left), (limit - left) * SECONDS / limit

    @property
    def idle(self) -> bool:
        """Whether nothing of it is in use, leased or owed."""
        return not self.calls and not self.waiting and not self.free and not self._dripped
