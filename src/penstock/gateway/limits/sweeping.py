"""Forgetting what nobody will ask the ledger for again: accounts of periods long over, buckets that are full."""

from datetime import timedelta

from penstock.core import clock
from penstock.core.home import Home
from penstock.gateway.limits.store import ledger

KEEP_DAYS = 400
"""Spending by day and month is kept at least so long."""
CAP_DAYS = 2
"""Days that the accounts of caps are kept: long enough for what a call over midnight has yet to settle."""
FULL_SECONDS = 3600.0
"""A bucket that nobody took from for so long has been full for nearly all of it."""
TOGETHER = 500
"""Accounts that one transaction forgets."""


def sweep(home: Home, limit: int = TOGETHER) -> int:
    """Forget at most `limit` accounts of every scope, and the buckets that are full; returns how many of both.

    What ended is looked up outside the transaction that deletes, so that a long look holds nobody up.
    """
    today = clock.now().date()
    before = (today - timedelta(days=KEEP_DAYS)).isoformat()[: len("2025-10")]
    caps = (today - timedelta(days=CAP_DAYS)).isoformat()
    with home.read() as uow:
        keys = ledger.ended(uow.conn, before, caps, limit)
    with home.begin() as uow:
        ledger.forget(uow.conn, keys)
        full = ledger.forget_full(uow.conn, ledger.shared_seconds(uow.conn) - FULL_SECONDS)
    return len(keys) + full
