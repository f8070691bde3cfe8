"""Parquet, Arrow and Zstandard files."""

from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from deltalake import QueryBuilder

from penstock.core.errors import Invalid, TooLarge
from penstock.datasets.model import BadRow
from penstock.datasets.readers import Item, read_file
from penstock.datasets.sources import Limits, inspect

SELECTED = """SELECT value AS id, CONCAT('text ', CAST(value AS VARCHAR)) AS text,
  CAST(value AS DOUBLE) / 2 AS half, make_array(value, NULL) AS list,
  named_struct('role', 'user', 'n', value) AS chat, CAST('2024-01-02T03:04:05Z' AS TIMESTAMP) AS moment,
  CAST('2024-01-02' AS DATE) AS day, CAST(1.10 AS DECIMAL(5, 2)) AS price,
  CASE WHEN value % 2 = 0 THEN NULL ELSE true END AS flag"""


def write(path: Path, kind: str, rows: int) -> Path:
    copy = f"COPY ({SELECTED} FROM generate_series(1, {rows})) TO '{path}' STORED AS {kind}"
    list(QueryBuilder().execute(copy))
    return path


def read(path: Path, limits: Limits | None = None, skip: int = 0, **options: str) -> list[Item]:
    return list(read_file(inspect(path, **options), limits or Limits(), skip=skip))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_values_become_what_json_can_say(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"rows.{kind}", kind.upper(), 3)
    assert inspect(path).format == kind
    items = read(path)
    assert items[1] == (
        2,
        {
            "id": 2,
            "text": "text 2",
            "half": 1.0,
            "list": [2, None],
            "chat": {"role": "user", "n": 2},
            "moment": "2024-01-02T03:04:05",
            "day": "2024-01-02",
            "price": "1.10",
            "flag": None,
        },
    )
    assert [item[0] for item in items if not isinstance(item, BadRow)] == [1, 2, 3]


def test_rows_come_in_order_and_from_where_one_says(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", "PARQUET", 30_000)
    whole = read(path)
    assert [item[1]["id"] for item in whole if not isinstance(item, BadRow)] == list(range(1, 30_001))
    assert read(path, skip=29_990) == whole[29_990:]


def test_a_name_with_patterns_and_none_with_an_ending(tmp_path: Path) -> None:
    for name in ("we ird [1]*?%20.parquet", "upload"):
        written = write(tmp_path / "plain.parquet", "PARQUET", 2)
        assert len(read(written.rename(tmp_path / name))) == 2


def test_damage_and_wrong_formats_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", "PARQUET", 2000)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(Invalid, match=r"rows\.parquet is a damaged or unusual Parquet file"):
        read(path)
    with pytest.raises(Invalid, match="a file of the format parquet, not csv"):
        inspect(path, format="csv")
    (tmp_path / "rows.jsonl").write_text('{"a": 1}')
    with pytest.raises(Invalid, match="is no Parquet file"):
        inspect(tmp_path / "rows.jsonl", format="parquet")


def test_limits_hold_for_tables_too(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", "PARQUET", 100)
    with pytest.raises(TooLarge, match="max_source_mb"):
        read(path, Limits(total=2000))
    first = read(path, Limits(line=50))[0]
    assert isinstance(first, BadRow)
    assert first.reason.startswith("the record is longer than")


Write = Callable[[bytes], Path]


@pytest.fixture
def packed(tmp_path: Path) -> Write:
    def write(data: bytes) -> Path:
        path = tmp_path / "rows.jsonl.zst"
        path.write_bytes(data)
        return path

    return write


LINES = b"".join(b'{"n": %d}\n' % n for n in range(50_000))


def test_zstandard_of_several_frames(packed: Write) -> None:
    frames = zstandard.compress(LINES[:200_007]) + zstandard.compress(LINES[200_007:])
    opened = inspect(packed(frames))
    assert (opened.format, opened.compression) == ("jsonl", "zstd")
    found = list(read_file(opened, Limits()))
    assert (len(found), found[-1]) == (50_000, (50_000, {"n": 49_999}))
    assert opened.meter.share == 1.0


def test_a_cut_zstandard_file_says_so(packed: Write) -> None:
    with pytest.raises(Invalid, match="damaged or cut-off Zstandard file"):
        read(packed(zstandard.compress(LINES)[:-20]))


def test_a_zstandard_bomb_ends_at_the_limit(packed: Write) -> None:
    bomb = zstandard.compress(b'{"n": 1}\n' + b" " * (256 << 20))
    assert len(bomb) < 100_000
    with pytest.raises(TooLarge):
        read(packed(bomb), Limits(line=1 << 20, total=16 << 20))
