"""How rows lie in the table's files."""

from pathlib import Path

import pytest

from penstock.datasets import table
from penstock.datasets.model import Column, ColumnType, StoredRow


def test_the_writer_holds_few_rows_at_a_time(tmp_path: Path) -> None:
    """What a group of rows takes is held in memory until it is full, whatever the size of the source."""
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = [Column(name="text", type=ColumnType.STRING)]
    rows = (
        StoredRow(position=number, key=f"k{number}", split="", row={"text": f"row {number}"})
        for number in range(20_000)
    )
    version = table.write(tmp_path / "rows", columns, rows, "content")
    groups = []
    for file in sorted((tmp_path / "rows").glob("*.parquet")):
        with parquet.ParquetFile(file) as opened:
            about = opened.metadata
            groups += [about.row_group(place).num_rows for place in range(about.num_row_groups)]
            assert about.row_group(0).column(0).compression == "SNAPPY"
    assert sum(groups) == 20_000
    assert max(groups) <= 8192
    found = list(table.read(tmp_path / "rows", version, columns, total=20_000, limit=2, offset=8191))
    assert [one.row["text"] for one in found] == ["row 8191", "row 8192"]
