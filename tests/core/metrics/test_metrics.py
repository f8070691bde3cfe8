"""Counting, the page, and adding up processes."""

import re
import threading
from datetime import timedelta

import pytest

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.metrics import CONTENT_TYPE, Publisher, Registry, merged, registry, render
from penstock.core.metrics.publishing import FOLD_ABOVE, fold

SAMPLE = re.compile(
    r'[a-z_]+(\{([a-z_]+="([^"\\\n]|\\["\\n])*",?)+\})? (-?[0-9.]+(e[+-]?[0-9]+)?|[+-]Inf|NaN)'
)


def some() -> tuple[Registry, registry.Counter, registry.Gauge, registry.Histogram]:
    made = Registry()
    counter = made.add(registry.Counter("calls_total", "Calls.", ("route", "status")))
    gauge = made.add(registry.Gauge("in_flight", "Now."))
    histogram = made.add(registry.Histogram("call_seconds", "Time.", ("route",), buckets=(0.1, 1.0)))
    return made, counter, gauge, histogram


def test_the_page_is_prometheus_text() -> None:
    made, counter, gauge, histogram = some()
    counter.inc("chat", "200")
    counter.inc("chat", "200", by=2)
    counter.inc('a"b\\c\nd', "500")
    gauge.set(3.5)
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value, "chat")
    page = render(made.families()).decode()
    assert page.splitlines() == [
        "# HELP call_seconds Time.",
        "# TYPE call_seconds histogram",
        'call_seconds_bucket{route="chat",le="0.1"} 2',
        'call_seconds_bucket{route="chat",le="1"} 3',
        'call_seconds_bucket{route="chat",le="+Inf"} 4',
        'call_seconds_sum{route="chat"} 7.65',
        'call_seconds_count{route="chat"} 4',
        "# HELP calls_total Calls.",
        "# TYPE calls_total counter",
        'calls_total{route="a\\"b\\\\c\\nd",status="500"} 1',
        'calls_total{route="chat",status="200"} 3',
        "# HELP in_flight Now.",
        "# TYPE in_flight gauge",
        "in_flight 3.5",
    ]
    assert all(SAMPLE.fullmatch(line) for line in page.splitlines() if not line.startswith("#"))
    assert b"0.0.4" in CONTENT_TYPE


def test_series_are_bounded() -> None:
    counter = registry.Counter("x_total", "X.", ("model",))
    for number in range(registry.MAX_SERIES + 50):
        counter.inc(f"m{number}")
    counter.inc("m0")
    assert len(counter.family().series) == registry.MAX_SERIES + 1
    assert (counter.value("other"), counter.value("m0")) == (50, 2)
    long = registry.Counter("y_total", "Y.", ("model",))
    long.inc("x" * 10_000)
    long.inc("x" * 10_000)
    assert long.family().series == [(("x" * registry.MAX_LABEL,), [2.0])]


def test_wrong_declarations_and_labels_are_refused() -> None:
    made, counter, _, _ = some()
    with pytest.raises(ValueError, match="takes the labels"):
        counter.inc("chat")
    with pytest.raises(ValueError, match="declared already"):
        made.add(registry.Counter("calls_total", "Calls.", ("route",)))
    with pytest.raises(ValueError, match="no name"):
        made.add(registry.Counter("Calls-total", "Calls."))
    assert made.add(registry.Counter("calls_total", "Calls.", ("route", "status"))) is counter


def test_processes_are_added_up_and_counters_outlive_them(sqlite_home: Home) -> None:
    pages = []
    for number in (1, 2):
        made, counter, gauge, histogram = some()
        counter.inc("chat", "200", by=number)
        gauge.set(number)
        histogram.observe(0.5 * number, "chat")
        worst = made.add(registry.Gauge("state", "State.", ("target",), merge="max"))
        worst.set(number, "a")
        pages.append(Publisher(sqlite_home, "web", made))
        pages[-1].write()
    found = {family.name: family.series for family in merged(sqlite_home)}
    assert found["calls_total"] == [(("chat", "200"), [3.0])]
    assert found["in_flight"] == [((), [3.0])]
    assert found["state"] == [(("a",), [2.0])]
    assert found["call_seconds"] == [(("chat",), [0.0, 2.0, 0.0, 1.5])]
    assert found["penstock_processes"] == [(("web",), [2.0])]
    pages[0].write(ended=True)
    found = {family.name: family.series for family in merged(sqlite_home)}
    assert found["calls_total"] == [(("chat", "200"), [3.0])]
    assert found["in_flight"] == [((), [2.0])]
    with clock.frozen(clock.now() + timedelta(seconds=20)):  # killed: it says nothing any more
        found = {family.name: family.series for family in merged(sqlite_home)}
    assert found["calls_total"] == [(("chat", "200"), [3.0])] and "in_flight" not in found


def test_files_of_ended_processes_are_folded(sqlite_home: Home) -> None:
    for _ in range(FOLD_ABOVE + 4):
        made, counter, _, _ = some()
        counter.inc("chat", "200")
        Publisher(sqlite_home, "web", made).write(ended=True)
    folder = sqlite_home.folder("run", "metrics")
    before = merged(sqlite_home)
    fold(sqlite_home)
    assert len(list(folder.glob("*.json"))) == 1
    assert merged(sqlite_home) == before
    (folder / "web_damaged.json").write_bytes(b"{")
    assert merged(sqlite_home) == before


def test_a_publisher_writes_by_itself_and_at_its_end(sqlite_home: Home) -> None:
    made, counter, _, _ = some()
    publisher = Publisher(sqlite_home, "web", made)
    publisher.start()
    counter.inc("chat", "200")
    assert {family.name for family in publisher.page()} >= {"calls_total", "penstock_processes"}
    publisher.stop()
    assert next(f.series for f in merged(sqlite_home) if f.name == "calls_total") == [
        (("chat", "200"), [1.0])
    ]
    assert not any(thread.name == "metrics" and thread.is_alive() for thread in threading.enumerate())
