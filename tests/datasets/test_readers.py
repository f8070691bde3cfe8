import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import Invalid, NotFound, PenstockError, TooLarge
from penstock.datasets.model import BadRow
from penstock.datasets.readers import Item, read_file, read_rows
from penstock.datasets.sources import Limits, inspect

WIDE = Limits()


def read(path: Path, limits: Limits = WIDE, **options: str) -> list[Item]:
    return list(read_file(inspect(path, **options), limits))  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, bytes], Path]:
    def write(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


Write = Callable[[str, bytes], Path]


def test_jsonl_with_blank_lines_and_crlf(file: Write) -> None:
    assert read(file("a.jsonl", b'{"a": 1}\r\n\r\n  {"a": [1, {"b": null}]}\n')) == [
        (1, {"a": 1}),
        (3, {"a": [1, {"b": None}]}),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_are_found_out(file: Write, encoding: str) -> None:
    path = file("a.jsonl", '{"a": "Größe ✓"}\n{"a": "zwei"}\n'.encode(encoding))
    assert read(path) == [(1, {"a": "Größe ✓"}), (2, {"a": "zwei"})]


def test_windows_csv_is_read(file: Write) -> None:
    path = file("a.csv", "name;größe\nMüller;1,5\n".encode("cp1252"))
    assert inspect(path).encoding == "cp1252"
    assert read(path) == [(2, {"name": "Müller", "größe": "1,5"})]


def test_gzip(file: Write) -> None:
    assert read(file("a.jsonl.gz", gzip.compress(b'{"a": 1}\n'))) == [(1, {"a": 1})]


def test_a_cut_gzip_says_so(file: Write) -> None:
    whole = gzip.compress(b"".join(b'{"a": %d}\n' % n for n in range(50_000)))
    with pytest.raises(Invalid, match="damaged or cut-off gzip"):
        read(file("a.jsonl.gz", whole[: len(whole) // 2]))


def test_malformed_lines_are_reported_one_by_one(file: Write) -> None:
    lines = [
        b'{"a": 1}', b'{"a": 1', b"[1]", b'"text"', b"12", b"null", b"{}", b'{"": 1}', b'{"__key": 1}',
        b'{"a": "\xff"}', b'{"a": NaN}', b'{"a": 2}',
    ]  # fmt: skip
    found = read(file("a.jsonl", b"\n".join(lines)))
    bad = {item.line: item.reason for item in found if isinstance(item, BadRow)}
    assert [item for item in found if not isinstance(item, BadRow)] == [(1, {"a": 1}), (12, {"a": 2})]
    assert "not JSON" in bad[2]
    assert bad[3] == "an array, not an object with columns"
    assert bad[4] == "a string, not an object with columns"
    assert bad[5] == "a number, not an object with columns"
    assert bad[6] == "null, not an object with columns"
    assert bad[7] == "an object without columns"
    assert bad[8] == "a column without a name"
    assert "reserved" in bad[9]
    assert bad[10] == "not valid UTF-8 at byte 8"
    assert "not JSON" in bad[11]


def test_a_huge_line_is_skipped_without_being_held(file: Write) -> None:
    long = b'{"a": "' + b"x" * 3_000_000 + b'"}'
    found = read(file("a.jsonl", b'{"a": 1}\n' + long + b'\n{"a": 2}\n'), Limits(line=1 << 20))
    assert [found[0], found[2]] == [(1, {"a": 1}), (3, {"a": 2})]
    assert isinstance(found[1], BadRow)
    assert found[1].reason == "the line is longer than 1 MB"
    assert len(found[1].excerpt) <= 200


def test_deep_nesting_is_a_bad_row(file: Write) -> None:
    found = read(file("a.jsonl", b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"))
    assert isinstance(found[0], BadRow)


def test_a_decompression_bomb_is_stopped(file: Write) -> None:
    with pytest.raises(TooLarge, match="more than 1 MB"):
        read(file("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 200_000)), Limits(total=1 << 20))


def test_json_array(file: Write) -> None:
    path = file("a.json", b'\xef\xbb\xbf [\n {"a": 1},\n {"a": "]"} , 7 ]\n')
    found = read(path)
    assert found[:2] == [(2, {"a": 1}), (3, {"a": "]"})]
    assert isinstance(found[2], BadRow)


def test_json_array_larger_than_one_piece(file: Write) -> None:
    rows = [{"n": n, "text": "é" * 1000} for n in range(2000)]
    found = read(file("a.json", json.dumps(rows, indent=1, ensure_ascii=False).encode()))
    assert [item[1] for item in found if not isinstance(item, BadRow)] == rows
    assert found[-1] == (2 + 4 * 1999, rows[-1])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'[{"a": 1}, {"a": }]', "line 1"),
        (b'[{"a": 1}\n {"a": 2}]', "line 2: expected a comma or ]"),
        (b'[{"a": 1}', "line 1"),
        (b'[{"a": 1}] x', "text after the end"),
        (b"[]", "empty array"),
        (b"[1, 2", "not valid JSON|expected a comma"),
    ],
)
def test_a_broken_array_says_where(file: Write, data: bytes, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        read(file("a.json", data))


def test_json_lines_under_the_name_json(file: Write) -> None:
    assert read(file("a.json", b'{"a": 1}\n{"a": 2}\n')) == [(1, {"a": 1}), (2, {"a": 2})]


def test_csv_with_quotes_line_breaks_and_gaps(file: Write) -> None:
    path = file("a.csv", b'a,b\r\n1,"x, ""y""\nz"\r\n\r\n2,\r\n')
    assert read(path) == [(2, {"a": "1", "b": 'x, "y"\nz'}), (5, {"a": "2", "b": None})]


def test_csv_malformed_records(file: Write) -> None:
    found = read(file("a.csv", b'a,b\n1,2\n1,2,3\n1\n"x"y,2\n\xff,2\n5,6\n'), encoding="utf-8")
    bad = {item.line: item.reason for item in found if isinstance(item, BadRow)}
    assert [item for item in found if not isinstance(item, BadRow)] == [
        (2, {"a": "1", "b": "2"}),
        (7, {"a": "5", "b": "6"}),
    ]
    assert bad[3] == "3 fields; the header has 2"
    assert bad[4] == "1 fields; the header has 2"
    assert "not CSV" in bad[5]
    assert "not valid UTF-8" in bad[6]


def test_csv_without_a_closing_quote(file: Write) -> None:
    found = read(file("a.csv", b'a,b\n1,2\n3,"open\nmore\n'))
    assert found[0] == (2, {"a": "1", "b": "2"})
    assert isinstance(found[1], BadRow)
    assert found[1].line == 3


def test_tsv_and_delimiters(file: Write) -> None:
    assert read(file("a.tsv", b"a\tb\n1,5\tx\n")) == [(2, {"a": "1,5", "b": "x"})]
    assert read(file("b.csv", b"a|b\n1|2\n")) == [(2, {"a": "1", "b": "2"})]
    assert read(file("noname", b"a,b\n1,2\n")) == [(2, {"a": "1", "b": "2"})]


def test_a_header_with_a_doubled_name_is_refused(file: Write) -> None:
    with pytest.raises(Invalid, match="names a twice"):
        read(file("a.csv", b"a,a\n1,2\n"))


def test_an_unnamed_column_gets_a_name(file: Write) -> None:
    assert read(file("a.csv", b",x\n0,y\n")) == [(2, {"column_1": "0", "x": "y"})]


def test_files_that_are_none(tmp_path: Path, file: Write) -> None:
    with pytest.raises(NotFound, match="There is no file"):
        inspect(tmp_path / "missing.jsonl")
    with pytest.raises(Invalid, match="is a folder"):
        inspect(tmp_path)
    with pytest.raises(Invalid, match="is empty"):
        inspect(file("empty.jsonl", b""))
    with pytest.raises(Invalid, match="is empty"):
        inspect(file("blank.jsonl", b" \n\n"))
    with pytest.raises(Invalid, match="binary file"):
        inspect(file("garbage.jsonl", bytes(range(256)) * 10))
    with pytest.raises(Invalid, match="zip or Excel"):
        inspect(file("book.csv", b"PK\x03\x04....."))
    with pytest.raises(Invalid, match=r"Unknown format 'jsnl'.*Did you mean"):
        inspect(file("a.jsonl", b"{}"), format="jsnl")
    with pytest.raises(Invalid, match="no encoding"):
        inspect(file("b.jsonl", b"{}"), encoding="utf-99")
    with pytest.raises(Invalid, match="not clear"):
        inspect(file("words.txt", b"just some words"))


def test_rows_from_a_program() -> None:
    class Odd:
        pass

    found = list(read_rows([{"a": 1}, "text", {"a": Odd()}, {"a": "\ud800"}, {1: 2}, {"a": (1, 2)}]))
    assert found[0] == (1, {"a": 1})
    assert isinstance(found[1], BadRow)
    assert found[1].reason == "a str, not a mapping"
    assert isinstance(found[2], BadRow)
    assert isinstance(found[3], BadRow)
    assert found[5] == (6, {"a": [1, 2]})


scalars = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=20)
rows = st.lists(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), scalars, min_size=1), min_size=1, max_size=8
)


@settings(max_examples=40)
@given(rows)
def test_what_is_written_as_jsonl_or_json_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]
) -> None:
    folder = tmp_path_factory.mktemp("json")
    (folder / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (folder / "a.json").write_text(json.dumps(rows))
    for name in ("a.jsonl", "a.json"):
        assert [item[1] for item in read(folder / name) if not isinstance(item, BadRow)] == rows


@pytest.mark.parametrize("name", ["f.jsonl", "f.json", "f.csv", "f.tsv", "f.jsonl.gz", "f"])
@settings(max_examples=60)
@given(data=st.binary(max_size=300) | st.text('{}[]",:\\n\n\r\t ab1é\0', max_size=120).map(str.encode))
def test_no_bytes_crash_a_reader(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(data)
    try:
        items = read(path)
    except PenstockError as error:
        assert str(error)
    else:
        assert all(isinstance(item, BadRow) or item[1] for item in items)
