"""What the background process does at once: doubles of calls, roll-ups, the full-text index (`keeper` lets go)."""

from penstock.core import clock, log
from penstock.core.home import Home
from penstock.traces.settings import TracesSettings
from penstock.traces.store import bill, keyed, logs, metrics, people, rollup

logger = log.get("traces.background")
_ROLL_BATCH, _INDEX_BATCH, _LOG_BATCH, _FRESH_BATCH = 2000, 1000, 5000, 500
_DAY_NS = 86_400 * 10**9
_STREAM_DAYS, _SIGNALS_EVERY_SECONDS = 30, 60
_KEYED_SPANS = 500
"""Of traces from before there were entries for keys of metadata, looked at in each tick: some 35 ms of CPU."""


def tick(home: Home, *, batches: int = 50) -> int:
    """Do what is due, at most `batches` short transactions of each kind; returns how many it did.

    Call it every second or so; several processes may call it at once.
    """
    done = _roll(home, batches) + _index(home, batches) + _signals(home, batches)
    _key(home)
    return done


def catch_up(home: Home) -> None:
    """Tick until nothing is left to do."""
    while tick(home):
        pass


def roll_up(home: Home) -> None:
    """Bring the roll-ups up to date with everything committed before the call, but for what `freshen` does."""
    while _roll(home, 50, freshen=False):
        pass


def freshen(home: Home) -> None:
    """Look again at users and sessions of every scope that lost a trace, until nobody waits for it."""
    waited = _FRESH_BATCH
    while waited == _FRESH_BATCH:
        with home.begin() as uow:
            waited = people.freshen(uow.conn, limit=_FRESH_BATCH)


def _roll(home: Home, batches: int, *, freshen: bool = True) -> int:
    # Finding the mark needs a lock on PostgreSQL only; SQLite's writers need not wait for it.
    with home.read() if home.db.sqlite else home.begin() as uow:
        up_to = rollup.safe_mark(uow.conn)
    settled = _settle(home, up_to, batches)
    with home.read() as uow:
        up_to = min(up_to, rollup.mark(uow.conn, bill.SETTLED))
    return settled + _rolled(home, up_to, batches, freshen=freshen)


def _settle(home: Home, up_to: int, batches: int) -> int:
    for done in range(batches):
        with home.read() as uow:
            if rollup.mark(uow.conn, bill.SETTLED) >= up_to:
                return done
        with home.begin() as uow:
            bill.settle(uow.conn, up_to=up_to, limit=_ROLL_BATCH)
    return batches


def _rolled(home: Home, up_to: int, batches: int, *, freshen: bool) -> int:
    for done in range(batches):
        with home.read() as uow:
            if not rollup.behind(uow.conn, up_to, freshen=freshen):
                return done
        with home.begin() as uow:
            rollup.roll(uow.conn, up_to=up_to, limit=_ROLL_BATCH, freshen=freshen)
    return batches


def _index(home: Home, batches: int) -> int:
    for done in range(batches):
        with home.read() as uow:
            before, reached, texts = rollup.read_texts(uow.conn, limit=_INDEX_BATCH)
        if reached <= before:
            return done
        with home.begin() as uow:
            rollup.index(uow.conn, before, reached, texts)
    return batches


def _key(home: Home) -> None:
    """Give some traces from before the entries that say which keys of metadata they have; it may take hours."""
    with home.read() as uow:
        step = keyed.next_step(uow.conn, spans=_KEYED_SPANS)
    if step is not None:
        with home.begin() as uow:
            keyed.write(uow.conn, step)


def _signals(home: Home, batches: int) -> int:
    """Let go of old log records and metrics, once a minute."""
    now = clock.now_ns()
    with home.read() as uow:
        if now // 10**9 - rollup.mark(uow.conn, rollup.SIGNALS) < _SIGNALS_EVERY_SECONDS:
            return 0
    settings = home.settings.section(TracesSettings)
    oldest = now - settings.log_retention_days * _DAY_NS if settings.log_retention_days > 0 else 0
    for _ in range(batches):
        with home.begin() as uow:
            removed = logs.expire(uow.conn, before_ns=oldest, keep=settings.log_limit, limit=_LOG_BATCH)
        if removed < _LOG_BATCH:
            break
    days = settings.metric_retention_days
    with home.begin() as uow:
        metrics.expire(
            uow.conn,
            before_ns=now - days * _DAY_NS if days > 0 else 0,
            streams_before_ns=now - _STREAM_DAYS * _DAY_NS,
        )
        rollup.move(uow.conn, rollup.SIGNALS, now // 10**9)
    return 0
