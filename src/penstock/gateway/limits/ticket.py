"""A reservation: what a call may use, until it is settled or cancelled."""

from collections.abc import Callable, Sequence
from typing import Any

from penstock.core import clock
from penstock.core.http.families import Family
from penstock.gateway.limits.bucket import Bucket
from penstock.gateway.limits.meter import Meter
from penstock.gateway.limits.model import to_nano

Book = Callable[[Sequence[Meter], Sequence[float], Sequence[float]], None]
Headers = list[tuple[bytes, bytes]]


class Ticket:
    """What `Limiter` hands out. Whoever gets one must `settle` or `cancel` it, once; later calls do nothing."""

    __slots__ = ("_book", "_held", "_meters")

    def __init__(self, book: Book, meters: Sequence[Meter], held: Sequence[float]) -> None:
        self._book: Book | None = book
        self._meters = meters
        self._held = held

    def settle(self, input_tokens: int, output_tokens: int, usd: float | None) -> None:
        """Book what the call used; `usd` None (nobody knows the cost) books what was reserved."""
        book, self._book = self._book, None
        if book is None:
            return
        nano = -1 if usd is None else to_nano(usd)
        used = (1, input_tokens, output_tokens, 0, nano)
        actual = [
            held if used[meter.index] < 0 else used[meter.index]
            for meter, held in zip(self._meters, self._held, strict=True)
        ]
        book(self._meters, self._held, actual)

    def keep(self) -> None:
        """Book what was reserved, tokens and money: nobody knows what the call used."""
        self.settle(-1, -1, None)

    def cancel(self) -> None:
        """Give everything back: nothing was sent upstream."""
        book, self._book = self._book, None
        if book is not None:
            book(self._meters, self._held, [0] * len(self._meters))

    def aside(self, book: Book) -> "Ticket":
        """Return the ticket, to be settled by `book` instead: what it is for is no caller's answer."""
        self._book = book
        return self

    @property
    def open(self) -> bool:
        """Whether it is neither settled nor cancelled."""
        return self._book is not None

    def headers(self, family: Family = "openai") -> Headers:
        """Return what is left of the limits per minute, in the family's words; empty where there are none.

        OpenAI: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`
        (https://platform.openai.com/docs/guides/rate-limits), the tokens being the scarcer of input and output.
        Anthropic: `anthropic-ratelimit-{requests,input-tokens,output-tokens}-{limit,remaining,reset}`
        (https://docs.anthropic.com/en/api/rate-limits).
        """
        names = _NAMES[family == "anthropic"]
        now = 0.0
        scarcest: dict[str, tuple[float, Bucket, int, float]] = {}
        for meter in self._meters:
            if not isinstance(meter, Bucket):
                continue
            now = now or clock.monotonic()
            left, reset = meter.remaining(now)
            name = names[meter.key.period]
            share, known = left / meter.limit, scarcest.get(name)
            if known is None or share < known[0]:
                scarcest[name] = share, meter, left, reset
        written = _anthropic if family == "anthropic" else _openai
        out: Headers = []
        for name, (_, bucket, left, reset) in scarcest.items():
            out += written(name, bucket.limit, left, reset)
        return out


_NAMES: tuple[dict[str, str], dict[str, str]] = (
    {"requests": "requests", "input": "tokens", "output": "tokens"},
    {"requests": "requests", "input": "input-tokens", "output": "output-tokens"},
)
_OPENAI = {
    name: tuple(f"x-ratelimit-{what}-{name}".encode() for what in ("limit", "remaining", "reset"))
    for name in ("requests", "tokens")
}


def _openai(name: str, limit: int, left: int, reset: float) -> Headers:
    most, rest, again = _OPENAI[name]
    return [(most, b"%d" % limit), (rest, b"%d" % left), (again, _duration(reset))]


def _anthropic(name: str, limit: int, left: int, reset: float) -> Headers:
    at = clock.from_ns(clock.now_ns() + int(reset * 1e9)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        (f"anthropic-ratelimit-{name}-limit".encode(), b"%d" % limit),
        (f"anthropic-ratelimit-{name}-remaining".encode(), b"%d" % left),
        (f"anthropic-ratelimit-{name}-reset".encode(), at.encode()),
    ]


def _duration(seconds: float) -> bytes:
    """Return seconds as OpenAI writes them: `420ms`, `1.5s`, `1m0s`."""
    if seconds < 1:
        return b"%dms" % round(seconds * 1000)
    if seconds < 60:
        return f"{seconds:.2f}".rstrip("0").rstrip(".").encode() + b"s"
    return b"%dm%ds" % divmod(round(seconds), 60)


class FreeTicket(Ticket):
    """The one ticket of every call that nothing limits."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_nothing, (), ())

    def settle(self, input_tokens: int, output_tokens: int, usd: float | None) -> None:
        """Nothing is held."""

    def cancel(self) -> None:
        """Nothing is held."""

    def aside(self, book: Book) -> "Ticket":  # noqa: ARG002 - a Ticket's signature
        """Nothing is held."""
        return self

    def headers(self, family: Family = "openai") -> Headers:  # noqa: ARG002 - a Ticket's signature
        """Nothing is limited."""
        return []


class Both(Ticket):
    """Two reservations for one thing, settled together."""

    __slots__ = ("_pair",)

    def __init__(self, one: Ticket, other: Ticket) -> None:
        super().__init__(_nothing, (), ())
        self._pair = one, other

    def settle(self, input_tokens: int, output_tokens: int, usd: float | None) -> None:
        """Settle both."""
        for ticket in self._pair:
            ticket.settle(input_tokens, output_tokens, usd)

    def cancel(self) -> None:
        """Give both back."""
        for ticket in self._pair:
            ticket.cancel()


def _nothing(*_: Any) -> None:
    """A free ticket books nothing."""


FREE = FreeTicket()
