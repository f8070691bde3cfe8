"""A process that spends a home's budget with many tasks at once, as fast as it is let.

    python -m tests.gateway.limits.spender HOME LOG TASKS SECONDS

Appends what every call really cost, in nano-dollars, to LOG before it settles; prints `ready` first.
"""

import asyncio
import os
import random
import sys

from penstock.core import clock
from penstock.core.errors import LimitExceeded
from penstock.core.home import Home
from penstock.gateway.limits import leasing
from penstock.gateway.limits.limiter import Limiter
from penstock.gateway.limits.model import NANO
from penstock.gateway.limits.settings import LimitsSettings
from tests.gateway.limits.conftest import CALLER, ListPrices, ask

RESERVED = 0.004
REFUSALS = 4


async def spend(limiter: Limiter, log: int, dice: random.Random, until: float) -> None:
    refused = 0
    while clock.monotonic() < until and refused < REFUSALS:
        try:
            ticket = limiter.try_admit(CALLER, ask(RESERVED)) or await limiter.admit(CALLER, ask(RESERVED))
        except LimitExceeded:
            refused += 1
            await asyncio.sleep(0.15)
            continue
        refused = 0
        cost = dice.randint(1, int(RESERVED * NANO))
        await asyncio.sleep(dice.random() * 0.02)
        os.write(log, b"%d\n" % cost)
        ticket.settle(0, 0, cost / NANO)


async def main(home: Home, log: int, tasks: int, seconds: float) -> None:
    limiter = Limiter(home, ListPrices(), LimitsSettings(wait_seconds=60))
    limiter.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    until = clock.monotonic() + seconds
    await asyncio.gather(*(spend(limiter, log, random.Random(os.getpid() + n), until) for n in range(tasks)))
    await asyncio.to_thread(limiter.close)


if __name__ == "__main__":
    folder, path, count, most = sys.argv[1:]
    leasing.AWAY_SECONDS = 60.0  # a busy machine's database is slow, not away
    descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    with Home.open(folder, upgrade=False) as opened:
        asyncio.run(main(opened, descriptor, int(count), float(most)))
