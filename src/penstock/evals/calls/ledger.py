"""What a run has paid for: an answer that is known is not asked for again, and the cap holds."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from penstock.core.errors import Unprocessable
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.evals.calls import store
from penstock.evals.calls.journal import Journal
from penstock.evals.calls.model import Call, Paid
from penstock.evals.model import Output

Send = Callable[[], Awaitable[Output]]


class CapReached(Unprocessable):
    """Another call could cost more than the run may spend."""


class Ledger:
    """Looks answers up, reserves, sends and commits. An answered call is durable before anybody sees the answer.

    `cap_usd` is never overspent by more than the calls in flight: a call starts only while what was spent, with
    what is in flight at the mean price so far, lies below the cap. Calls that a killed process left without an
    answer count at the mean price too.
    """

    def __init__(
        self,
        home: Home,
        scope: Scope,
        run_id: str,
        journal: Journal,
        *,
        cap_usd: float | None = None,
        cap_calls: int | None = None,
    ) -> None:
        self._home, self._scope, self._journal = home, scope, journal
        self._cap, self._cap_calls = cap_usd, cap_calls
        self._known: dict[str, Output] = {}
        self._flying: dict[str, asyncio.Future[Output]] = {}
        with home.read() as uow:
            before = store.spent(uow.conn, scope, run_id)
        self.paid_usd, self.answered, self.lost = before.cost_usd, before.answered, before.lost
        self._in_flight = 0
        self.cached = 0

    def load(self, digests: Iterable[str]) -> None:
        """Read the answers that are stored for these calls."""
        with self._home.read() as uow:
            self._known |= store.answers(uow.conn, self._scope, digests)

    @property
    def cost_usd(self) -> float:
        """What the run cost so far; lost calls at the mean price."""
        return self.paid_usd + self.lost * self._mean()

    def _mean(self) -> float:
        return self.paid_usd / self.answered if self.answered else 0.0

    def known(self, digest: str) -> Output | None:
        """Return the stored answer, or None; it costs nothing now."""
        found = self._known.pop(digest, None)
        if found is None:
            return None
        self.cached += 1
        return found

    async def ask(self, call: Call, send: Send) -> Output:
        """Return the call's answer: the stored one, else that of `send`, stored.

        Raises CapReached. An answer with an error is not stored, and its reservation is taken back. Equal calls
        at the same time are sent once.
        """
        if (flying := self._flying.get(call.digest)) is not None:
            self.cached += 1
            return replace(await asyncio.shield(flying), sample_id=call.sample_id)
        future: asyncio.Future[Output] = asyncio.get_running_loop().create_future()
        self._flying[call.digest] = future
        try:
            output = await self._found(call, send)
        except BaseException as error:
            future.set_exception(error)
            future.exception()
            raise
        else:
            future.set_result(output)
            return output
        finally:
            del self._flying[call.digest]

    async def _found(self, call: Call, send: Send) -> Output:
        if call.role != "target" and call.digest not in self._known:
            await self._look_up(call.digest)
        if (found := self.known(call.digest)) is not None:
            return replace(found, sample_id=call.sample_id)
        return await self._send(call, send)

    async def _look_up(self, digest: str) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.load, [digest])

    async def _send(self, call: Call, send: Send) -> Output:
        self._check_cap()
        self._in_flight += 1
        unpaid = 1
        journal = self._journal
        try:
            journal.batch.reserved.append(call)
            await journal.written()
            output = await send()
            if output.error is not None:
                journal.batch.released.append(call)
                await journal.written()
                return output
            self._account(output)
            # It is in the accounts now, and must not count as in flight beside.
            self._in_flight, unpaid = self._in_flight - 1, 0
            journal.batch.paid.append(Paid(call, output))
            await journal.written()
        finally:
            self._in_flight -= unpaid
        self._check_priced(output)
        return output

    async def keep(self, calls: Iterable[tuple[Call, Output]]) -> None:
        """Store answers that were made without being reserved."""
        for call, output in calls:
            if output.error is None:
                self._account(output)
                self._journal.batch.kept.append(Paid(call, output))
        await self._journal.written()

    def _account(self, output: Output) -> None:
        self.paid_usd += output.cost_usd or 0.0
        self.answered += 1

    def _check_cap(self) -> None:
        if self._cap_calls is not None and self.answered + self.lost + self._in_flight >= self._cap_calls:
            raise CapReached(
                f"The cap of {self._cap_calls:,} calls is reached.",
                hint="Every answer is kept. Resume with a higher cap.",
            )
        if self._cap is None:
            return
        flying = self._in_flight * self._mean()
        if self.cost_usd + flying >= self._cap:
            raise CapReached(
                f"The cost cap of ${self._cap:g} is reached: ${self.cost_usd:.4f} were spent on "
                f"{self.answered} calls{f', {self.lost} of them lost' if self.lost else ''}.",
                hint="Every answer is kept. Resume with a higher max_cost_usd.",
            )

    def _check_priced(self, output: Output) -> None:
        if self._cap is not None and output.cost_usd is None:
            raise CapReached(
                "A call came back without a price, so the cost cap cannot be kept.",
                hint="Set the model's price with `penstock prices set`, or leave max_cost_usd out.",
            )
