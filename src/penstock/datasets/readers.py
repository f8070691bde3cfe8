"""Rows from files and programs: JSON Lines, JSON arrays, CSV, TSV, Parquet, Arrow, iterables of mappings.

Readers stream. Each yields `(line, row)` for a good record and `BadRow` for a malformed one, and goes
on after it; only damage that hides where the next record starts ends the reading with an error.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from penstock.core.errors import Invalid, TooLarge
from penstock.datasets import tabular
from penstock.datasets.model import MAX_COLUMNS, RESERVED, BadRow, Row
from penstock.datasets.sources import EXCERPT, TABLES, Limits, Opened, chunks, lines

Item: TypeAlias = tuple[int, Row] | BadRow

_WHITESPACE = " \t\r\n"
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def read_file(opened: Opened, limits: Limits, *, skip: int = 0) -> Iterator[Item]:
    """Yield the records of the file behind the first `skip`, good or bad, in order."""
    if opened.format in TABLES:
        found = tabular.rows(opened.path, opened.name, opened.format, skip=skip)
        return read_rows(found, limits=limits, first=skip + 1)
    if opened.format == "jsonl":
        return read_jsonl(opened, limits, skip=skip)
    read = read_json_array if opened.format == "json" else read_delimited
    return islice(read(opened, limits), skip, None)


def read_rows(rows: Iterable[Any], *, limits: Limits | None = None, first: int = 1) -> Iterator[Item]:
    """Yield rows given by a program; `line` counts from `first`. Values become what JSON makes of them.

    With limits, a longer row is malformed, and more bytes of JSON than allowed raise TooLarge.
    """
    total = 0
    for number, row in enumerate(rows, start=first):
        if isinstance(row, BadRow):
            yield row
            continue
        if not isinstance(row, Mapping):
            yield BadRow(
                line=number, reason=f"a {type(row).__name__}, not a mapping", excerpt=repr(row)[:EXCERPT]
            )
            continue
        try:
            text = _encode(dict(row))
            plain = _decode(text)
        except (TypeError, ValueError, UnicodeError, msgspec.MsgspecError, RecursionError) as error:
            yield BadRow(line=number, reason=f"not JSON: {error}", excerpt=ascii(row)[:EXCERPT])
            continue
        total += len(text)
        if limits is not None and total > limits.total:
            raise TooLarge(
                f"The source holds more than {limits.total >> 20} MB.",
                hint="Split it, or raise [datasets] max_source_mb.",
            )
        if limits is not None and len(text) > limits.line:
            excerpt = text[:EXCERPT].decode(errors="replace")
            yield BadRow(line=number, reason=_longer(limits), excerpt=excerpt)
            continue
        yield _checked(number, plain, ascii(row) if _odd(plain) else "")


def _longer(limits: Limits) -> str:
    return f"the record is longer than {limits.line / (1 << 20):g} MB"


def read_jsonl(opened: Opened, limits: Limits, *, skip: int = 0) -> Iterator[Item]:
    """Yield one record per line behind the first `skip`; blank lines do not count as records."""
    for line in lines(opened, limits):
        text = line.text.strip()
        if not text and not line.flaw:
            continue
        if skip:
            skip -= 1
            continue
        if line.flaw:
            yield BadRow(line=line.number, reason=line.flaw, excerpt=text[:EXCERPT])
            continue
        yield _decoded(line.number, text)


def _decoded(number: int, text: str) -> Item:
    try:
        value = _decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return BadRow(line=number, reason=_json_reason(error), excerpt=text[:EXCERPT])
    return _checked(number, value, text)


def _json_reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return (
        str(error)
        .replace("JSON is malformed", "not JSON")
        .replace("Input data was truncated", "not JSON: cut off")
    )


def _odd(value: Any) -> bool:
    return not isinstance(value, dict) or not value or any(not name or name in RESERVED for name in value)


def _checked(number: int, value: Any, text: str) -> Item:
    if not _odd(value) and len(value) <= MAX_COLUMNS:
        return number, value
    if not isinstance(value, dict):
        kind = {list: "an array", str: "a string", type(None): "null", bool: "true or false"}
        reason = f"{kind.get(type(value), 'a number')}, not an object with columns"
    elif not value:
        reason = "an object without columns"
    elif len(value) > MAX_COLUMNS:
        reason = f"{len(value)} columns; at most {MAX_COLUMNS} are possible"
    elif "" in value:
        reason = "a column without a name"
    else:
        reason = f"a column named {next(name for name in RESERVED if name in value)}, which is reserved"
    return BadRow(line=number, reason=reason, excerpt=text[:EXCERPT])


def read_json_array(opened: Opened, limits: Limits) -> Iterator[Item]:
    """Yield the objects of one JSON array without holding it whole.

    Raises Invalid at the first syntax error: what follows it cannot be told apart.
    """
    array = _Array(opened, limits)
    array.expect("[", "a JSON array of objects")
    if array.peek() == "]":
        raise Invalid(f"{opened.name} is an empty array.", hint="Give at least one row.")
    while True:
        number, text = array.value()
        yield _decoded(number, text)
        separator = array.peek()
        if separator not in (",", "]"):
            raise array.error("expected a comma or ]")
        array.skip()
        if separator == "]":
            break
    if array.peek():
        raise array.error("text after the end of the array")


class _Array:
    """A window on the text of a JSON array that slides over it."""

    def __init__(self, opened: Opened, limits: Limits) -> None:
        self._name = opened.name
        self._limit = limits.line
        self._chunks = chunks(opened, limits)
        self._buffer = ""
        self._at = 0
        self._line = 1
        self._decoder = json.JSONDecoder()

    def _more(self) -> bool:
        """Read on, forgetting what was used; False at the end."""
        self._line += self._buffer.count("\n", 0, self._at)
        for chunk in self._chunks:
            if chunk:
                self._buffer, self._at = self._buffer[self._at :] + chunk, 0
                return True
        self._buffer, self._at = self._buffer[self._at :], 0
        return False

    def peek(self) -> str:
        """Return the next character that is no whitespace; empty at the end."""
        while True:
            while self._at < len(self._buffer):
                if self._buffer[self._at] not in _WHITESPACE:
                    return self._buffer[self._at]
                self._at += 1
            if not self._more():
                return ""

    def skip(self) -> None:
        """Go past one character."""
        self._at += 1

    def expect(self, character: str, what: str) -> None:
        """Go past `character`, or raise Invalid."""
        if self.peek() != character:
            raise Invalid(
                f"{self._name} is not {what}.", hint="For one object per line, use the format jsonl."
            )
        self.skip()

    def value(self) -> tuple[int, str]:
        """Return (line, text) of the next value."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except RecursionError:
                raise self.error("nested too deeply") from None
            except ValueError as error:
                if len(self._buffer) - self._at > self._limit or not self._more():
                    raise self.error(
                        getattr(error, "msg", str(error)), getattr(error, "pos", None)
                    ) from error
                continue
            # A number at the end of the buffer may go on in the next piece.
            if end == len(self._buffer) and not isinstance(value, dict | list) and self._more():
                continue
            number = self._line + self._buffer.count("\n", 0, self._at)
            text = self._buffer[self._at : end]
            self._at = end
            return number, text

    def error(self, reason: str, position: int | None = None) -> Invalid:
        """Return the error for a syntax error here."""
        number = self._line + self._buffer.count("\n", 0, self._at if position is None else position)
        return Invalid(
            f"{self._name} is not valid JSON at line {number}: {reason}.",
            hint="Rows after a syntax error in an array cannot be kept; repair it, or write JSON Lines.",
        )


def read_delimited(opened: Opened, limits: Limits) -> Iterator[Item]:
    """Yield the records of a CSV (RFC 4180) or TSV file with a header; an empty field is null."""
    csv.field_size_limit(limits.line)
    physical = _Physical(opened, limits)
    reader = csv.reader(physical, delimiter=_delimiter(opened), strict=True)
    header: list[str] | None = None
    while True:
        physical.begin()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = physical.flaw or f"not {opened.format.upper()}: {error}"
            yield BadRow(line=physical.first, reason=reason, excerpt=physical.excerpt)
            continue
        if not any(fields) and not physical.flaw:
            continue
        if header is None:
            header = _header(fields, opened)
        elif physical.flaw or len(fields) != len(header):
            reason = physical.flaw or f"{len(fields)} fields; the header has {len(header)}"
            yield BadRow(line=physical.first, reason=reason, excerpt=physical.excerpt)
        else:
            yield physical.first, {name: value or None for name, value in zip(header, fields, strict=True)}


class _Physical:
    """The physical lines that the CSV parser takes, and what was noticed about those of one record."""

    def __init__(self, opened: Opened, limits: Limits) -> None:
        self._lines = lines(opened, limits)
        self.begin()

    def begin(self) -> None:
        """Start a new record."""
        self.first, self.excerpt, self.flaw = 0, "", ""

    def __iter__(self) -> "_Physical":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if not self.first:
            self.first, self.excerpt = line.number, line.text.strip()[:EXCERPT]
        self.flaw = self.flaw or line.flaw
        return line.text


def _delimiter(opened: Opened) -> str:
    if opened.format == "tsv":
        return "\t"
    header = opened.sample.lstrip("\ufeff").lstrip().splitlines()[0]
    return max(",;\t|", key=header.count)


def _header(fields: list[str], opened: Opened) -> list[str]:
    names = [name.strip() or f"column_{place}" for place, name in enumerate(fields, start=1)]
    doubled = sorted({name for name in names if names.count(name) > 1})
    reserved = sorted(set(names) & set(RESERVED))
    if doubled or reserved or len(names) > MAX_COLUMNS:
        what = (
            f"names {', '.join(doubled)} twice"
            if doubled
            else (
                f"names {', '.join(reserved)}, which is reserved" if reserved else f"has {len(names)} columns"
            )
        )
        raise Invalid(f"The header of {opened.name} {what}.", hint="Rename the columns.")
    return names
