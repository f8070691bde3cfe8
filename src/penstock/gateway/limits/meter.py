"""What every allowance has in a process: what is free to reserve, what is reserved, and what it must ask for."""

from collections.abc import Callable
from typing import NamedTuple

from penstock.core.errors import LimitExceeded
from penstock.core.uow import UnitOfWork
from penstock.gateway.limits.model import AccountKey

ENOUGH = 1 << 62
"""More than any reservation: where nothing is refused."""
FULL_PACE_SECONDS = 10.0
"""The pace of use is averaged over about so long."""


class Errand(NamedTuple):
    """What a meter wants of the ledger: amounts that must be booked exactly once, and what it would like to lease."""

    settle: int = 0
    give: float = 0
    least: float = 0
    """The smallest amount that lets a waiting call go; 0 when none waits."""
    needs: float = 0
    """What lets all waiting calls go."""
    wish: float = 0
    """What to lease ahead, as far as the sharing rule allows."""
    smallest: float = 0
    """The smallest reservation that waits, whatever is free here."""
    aside: tuple[tuple[str, int], ...] = ()
    """What of `settle` went beside callers' answers, by kind."""


class Sharing(NamedTuple):
    """What a transaction with the ledger knows about the process and the others."""

    lessee: str
    lessees: int
    """Processes alive, this one included."""
    fraction: float
    """The part of an allowance that one process may hold ahead of need."""
    fresh: bool
    """Whether the errands' amounts are not booked yet."""
    now: Callable[[], float]
    """The clock that all processes share, in seconds."""
    leave: float = 0.0
    """The part of rates and of calls at once that this process leaves to others: above 0 for work that can wait."""


class Meter:
    """One allowance in this process. Everything here happens under the lock of `Meters`, except `trade`."""

    __slots__ = (
        "calls", "denied_need", "denied_until", "free", "giving", "index", "key", "low", "most", "reserved",
        "uses", "uses_seen", "waiting",
    )  # fmt: skip

    def __init__(self, key: AccountKey, index: int, most: float) -> None:
        self.key = key
        self.index = index
        """Which of (1, input tokens, output tokens, 1, nano-dollars) this meter counts."""
        self.most = most
        """The largest reservation; a larger one is cut to it."""
        self.free: float = 0
        self.low: float = 0
        """Below this, more is leased ahead of need."""
        self.reserved: float = 0
        self.calls = 0
        """Reservations that are neither settled nor cancelled."""
        self.waiting: list[float] = []
        self.denied_need: float = ENOUGH
        self.denied_until = 0.0
        self.giving = False
        """Whether what is free goes back at the next chance."""
        self.uses = 0
        self.uses_seen = 0

    def settle(self, held: float, actual: float) -> bool:
        """Book what a reservation really used; returns whether the ledger must hear of it."""
        raise NotImplementedError

    def note(self, kind: str, actual: float) -> None:
        """Note that so much of what is booked went beside callers' answers; only money is told apart."""

    def errand(self, now: float, booked: Errand | None) -> Errand:
        """Return what to ask the ledger for; `booked` are amounts on their way already, which stay as they are."""
        raise NotImplementedError

    def trade(self, uow: UnitOfWork, sharing: Sharing, errand: Errand) -> object:
        """Do an errand in a transaction, outside the lock; returns what `learn` needs once it is committed."""
        raise NotImplementedError

    def learn(self, found: object, errand: Errand, now: float) -> None:
        """Take over what a committed errand brought."""
        raise NotImplementedError

    def stretch(self, need: float, now: float, lessees: int) -> bool:
        """Whether a call may go on without the ledger, which is away."""
        raise NotImplementedError

    def refusal(self, need: float, now: float) -> LimitExceeded | None:
        """Return why `need` is refused, when that is known without asking the ledger."""
        raise NotImplementedError

    def gone(self) -> None:
        """Take note that nobody will use it any more."""

    @property
    def idle(self) -> bool:
        """Whether nothing of it is in use here, leased or waiting to be booked."""
        return not self.calls and not self.waiting and not self.free

    def wants(self, target: float) -> Errand:
        """Return the wants of an errand that would leave `target` free."""
        smallest = min(self.waiting, default=0)
        return Errand(
            least=max(0, smallest - self.free) if self.waiting else 0,
            needs=max(0, sum(self.waiting) - self.free),
            wish=max(0, target - self.free),
            smallest=smallest,
        )

    def hand_over(self) -> float | None:
        """Take out what is free, if it is to go back and no call waits for it; returns how much, None to keep it."""
        giving, self.giving = self.giving and not self.waiting, False
        if not giving:
            return None
        given = max(0, self.free)
        self.free -= given
        return given

    def lacks(self, granted: float, errand: Errand) -> bool:
        """Whether an errand failed, and nothing came back here meanwhile that would let the next one succeed."""
        return granted < errand.least and errand.smallest - self.free >= errand.least

    def deny(self, need: float, until: float) -> None:
        """Remember that the ledger refused `need`, so that it is not asked again before `until` (monotonic)."""
        self.denied_need, self.denied_until = need, until
        self.low = 0
