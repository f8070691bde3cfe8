"""UTC calendar days and months, as budgets count them."""

from datetime import timedelta

from penstock.core import clock
from penstock.gateway.limits.model import Period


def period_key(period: Period, now_ns: int) -> str:
    """Return the name of the period that holds the moment: `2026-11-21`, `2026-11` or `total`."""
    if period is Period.TOTAL:
        return "total"
    text = clock.from_ns(now_ns).date().isoformat()
    return text if period is Period.DAY else text[:7]


def day_of(now_ns: int) -> tuple[int, int]:
    """Return the first nanosecond of the UTC day that holds the moment, and the first of the next one."""
    start = clock.from_ns(now_ns).replace(hour=0, minute=0, second=0, microsecond=0)
    return clock.to_ns(start), clock.to_ns(start + timedelta(days=1))


def seconds_left(period: Period, now_ns: int) -> float | None:
    """Return the seconds until the period is over; None for one that never ends."""
    if period is Period.TOTAL:
        return None
    moment = clock.from_ns(now_ns)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    end = (
        day + timedelta(days=1)
        if period is Period.DAY
        else (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    )
    return max(0.0, (end - moment).total_seconds())
