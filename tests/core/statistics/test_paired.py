"""Paired proportions: Fagerland, Lydersen and Laake's worked examples, and coverage."""

import numpy as np
import pytest

from penstock.core.statistics import PairedTable, mcnemar_exact, newcombe_interval, tango_interval

BENTUR_2009 = PairedTable(both=1, gained=1, lost=7, neither=12)
"""Airway hyper-responsiveness before and after transplantation."""
CAVO_2012 = PairedTable(both=59, gained=6, lost=16, neither=80)
"""Complete response before and after consolidation."""


def test_published_intervals() -> None:
    """Values of the R package contingencytables (Fagerland, Lydersen, Laake 2017, chapter 8)."""
    found = tango_interval(BENTUR_2009)
    assert (round(found.low, 3), round(found.high, 3)) == (-0.517, -0.026)
    found = newcombe_interval(BENTUR_2009)
    assert (round(found.low, 3), round(found.high, 3)) == (-0.507, -0.026)
    found = tango_interval(CAVO_2012)
    assert (round(found.value, 4), round(found.low, 4), round(found.high, 4)) == (-0.0621, -0.1240, -0.0054)


def test_exact_mcnemar() -> None:
    assert mcnemar_exact(1, 7) == pytest.approx(0.0703, abs=5e-5)
    assert mcnemar_exact(6, 16) == pytest.approx(0.0525, abs=5e-5)
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(5, 5) == 1.0
    assert mcnemar_exact(0, 1000) < 1e-290


def test_a_table_counts_pairs() -> None:
    table = PairedTable.of([1, 1, 0, 0, 1], [1, 0, 1, 0, 1])
    assert (table.both, table.gained, table.lost, table.neither) == (2, 1, 1, 1)
    assert table.difference == 0
    with pytest.raises(ValueError, match="at least one"):
        PairedTable.of([], [])
    with pytest.raises(ValueError, match="zip"):
        PairedTable.of([1], [1, 0])


@pytest.mark.parametrize(
    "table",
    [
        PairedTable(both=10, gained=0, lost=0, neither=0),
        PairedTable(both=0, gained=10, lost=0, neither=0),
        PairedTable(both=0, gained=0, lost=10, neither=0),
        PairedTable(both=0, gained=0, lost=0, neither=1),
    ],
)
def test_extreme_tables_stay_within_bounds(table: PairedTable) -> None:
    for found in (tango_interval(table), newcombe_interval(table)):
        assert -1 <= found.low <= table.difference <= found.high <= 1
        assert found.low < found.high


@pytest.mark.parametrize("cells", [(0.70, 0.15, 0.05, 0.10), (0.10, 0.04, 0.04, 0.82)])
def test_coverage(cells: tuple[float, ...]) -> None:
    truth = cells[1] - cells[2]
    tables = [
        PairedTable(both=int(a), gained=int(b), lost=int(c), neither=int(d))
        for a, b, c, d in np.random.default_rng(8).multinomial(100, cells, size=1500)
    ]
    for method in (tango_interval, newcombe_interval):
        found = [method(table) for table in tables]
        assert 0.93 <= np.mean([i.low <= truth <= i.high for i in found]) <= 0.98


def test_mcnemar_keeps_its_level() -> None:
    draws = np.random.default_rng(9).multinomial(100, (0.5, 0.1, 0.1, 0.3), size=3000)
    assert np.mean([mcnemar_exact(int(b), int(c)) < 0.05 for _, b, c, _ in draws]) <= 0.05
