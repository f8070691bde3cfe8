"""Opening files: what format and encoding they are, and their text line by line in bounded memory."""

import codecs
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader, TextIOWrapper
from pathlib import Path

from penstock.core.errors import Invalid, NotFound, TooLarge
from penstock.core.suggest import did_you_mean
from penstock.datasets import compression
from penstock.datasets.compression import Meter

TABLES = ("parquet", "arrow")
"""Formats that are no text."""
FORMATS = ("jsonl", "json", "csv", "tsv", *TABLES)
_EXTENSIONS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".jsonlines": "jsonl", ".json": "json", ".csv": "csv",
    ".tsv": "tsv", ".tab": "tsv",
}  # fmt: skip
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 1 << 16
_ARCHIVES = {b"PK\x03\x04": "a zip or Excel file", b"%PDF": "a PDF file"}
_TABLES = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff\xff\xff\xff": "arrow"}
"""First bytes → format; Arrow files and Arrow streams begin differently."""
EXCERPT = 200
"""Characters of a malformed record that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is read, in bytes after decompression."""

    line: int = 16 << 20
    total: int = 20 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What was found out about a file before reading it."""

    path: Path
    name: str
    """Name for messages: the file's, or what the person who uploaded it called it."""
    format: str
    encoding: str
    """Empty for formats that are no text."""
    compression: str
    """`gzip`, `zstd` or empty."""
    sample: str
    """The beginning of the text, at most 64 kB of it."""
    meter: Meter = field(default_factory=Meter, compare=False)
    """How far it has been read."""


@dataclass(frozen=True, slots=True)
class Line:
    """A physical line; `flaw` says why its text cannot be used."""

    number: int
    text: str
    flaw: str = ""


def inspect(path: Path, *, format: str | None = None, encoding: str | None = None, name: str = "") -> Opened:
    """Return format, encoding and compression of the file at `path`.

    Raises NotFound when there is none, Invalid when it is a folder, empty, unreadable or not text.
    """
    name = name or path.name
    head = _head(path, name)
    meter = Meter(path.stat().st_size)
    table = _table(name, format, head)
    if table:
        return Opened(path=path, name=name, format=table, encoding="", compression="", sample="", meter=meter)
    packed = compression.kind_of(head)
    if packed:
        with _reading(name), compression.opened(path, packed) as file:
            head = file.read(_SAMPLE)
    if not head.strip():
        raise Invalid(f"{name} is empty.", hint="Give a file with at least one row.")
    found = encoding or _encoding(head, name)
    sample = _decode(head, found or "utf-8", name)
    if not sample.replace("\ufeff", "").strip():
        raise Invalid(f"{name} holds no text.", hint="Give a file with at least one row.")
    kind = _format(name, format, sample)
    return Opened(
        path=path,
        name=name,
        format=kind,
        # JSON is UTF-8 by definition, so what is not is damaged; a CSV file like that is a Windows export.
        encoding=found or ("cp1252" if kind in ("csv", "tsv") else "utf-8"),
        compression=packed,
        sample=sample,
        meter=meter,
    )


def _table(name: str, given: str | None, head: bytes) -> str:
    """Return the format of a file that is no text; empty for the others."""
    found = next((kind for magic, kind in _TABLES.items() if head.startswith(magic)), "")
    if given in TABLES and found != given:
        raise Invalid(f"{name} is no {given.capitalize()} file.", hint="Leave the format out to find it out.")
    if found and given not in (None, found):
        raise Invalid(f"{name} is a file of the format {found}, not {given}.", hint="Leave the format out.")
    return found


def sha256(path: Path) -> tuple[str, int]:
    """Return the SHA-256 (hex) and size in bytes of a file."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def lines(opened: Opened, limits: Limits) -> Iterator[Line]:
    """Yield the file's physical lines, without holding more than one; long or undecodable ones have a flaw.

    Raises Invalid when the file is cut short or damaged, TooLarge when it is larger than allowed.
    """
    with _reading(opened.name), compression.opened(opened.path, opened.compression, opened.meter) as file:
        if opened.encoding in ("utf-16", "utf-32"):
            text = TextIOWrapper(file, encoding=opened.encoding, newline="")
            yield from _text_lines(text, opened, limits)
        else:
            yield from _byte_lines(file, opened, limits)


def chunks(opened: Opened, limits: Limits) -> Iterator[str]:
    """Yield the file's text in pieces of about 1 MB; raises like `lines`, and Invalid for wrong encoding."""
    decoder = codecs.getincrementaldecoder(opened.encoding)()
    total = 0
    with _reading(opened.name), compression.opened(opened.path, opened.compression, opened.meter) as file:
        while data := file.read(1 << 20):
            total += len(data)
            _check_total(total, opened, limits)
            yield decoder.decode(data)
        yield decoder.decode(b"", final=True)


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except compression.DAMAGE as error:
        raise Invalid(
            f"{name} is a damaged or cut-off {'Zstandard' if _is_zstd(error) else 'gzip'} file.",
            hint="Make or download it again.",
        ) from error
    except UnicodeDecodeError as error:
        raise Invalid(
            f"{name} is not valid {error.encoding}: {error.reason} at byte {error.start}.",
            hint="Save it as UTF-8, or name its encoding.",
        ) from error
    except OSError as error:
        raise Invalid(f"{name} cannot be read: {error.strerror or error}.", hint="Check the file.") from error


def _is_zstd(error: Exception) -> bool:
    return isinstance(error, compression.ZstdError) or "Zstandard" in str(error)


def _head(path: Path, name: str) -> bytes:
    if path.is_dir():
        raise Invalid(
            f"{path} is a folder.",
            hint="Give one file; `penstock datasets pull --folder` reads a folder of documents.",
        )
    if not path.exists():
        raise NotFound(f"There is no file {path}.", hint="Check the path.")
    with _reading(name), path.open("rb") as file:
        return file.read(_SAMPLE)


def _encoding(head: bytes, name: str) -> str:
    """Return the encoding that the first bytes show; empty when they are text, but not UTF-8."""
    for mark, found in _BOMS:
        if head.startswith(mark):
            return found
    for mark, what in _ARCHIVES.items():
        if head.startswith(mark):
            raise Invalid(
                f"{name} is {what}, not rows of text.", hint=f"Export it as one of: {', '.join(FORMATS)}."
            )
    control = sum(byte < 9 or 13 < byte < 32 for byte in head)
    if b"\0" in head or control > 0.01 * len(head):
        raise Invalid(f"{name} is a binary file.", hint=f"Give text in one of: {', '.join(FORMATS)}.")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return ""
    return "utf-8"


def _decode(head: bytes, encoding: str, name: str) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)(errors="replace").decode(head)
    except LookupError as error:
        raise Invalid(
            f"There is no encoding {encoding!r}.", hint=f"Leave it out to detect {name}'s."
        ) from error


def _format(name: str, given: str | None, sample: str) -> str:
    if given is not None:
        if given not in FORMATS:
            raise Invalid(f"Unknown format {given!r}.", hint=did_you_mean(given, FORMATS))
        return given
    suffixes = [suffix.lower() for suffix in Path(name).suffixes if suffix.lower() not in compression.ENDINGS]
    known = _EXTENSIONS.get(suffixes[-1], "") if suffixes else ""
    first = sample.lstrip()[:1]
    if known == "json" and first == "{":
        # Many tools write JSON Lines under the name .json.
        return "jsonl"
    if known:
        return known
    if first in ("[", "{"):
        return "json" if first == "[" else "jsonl"
    header = sample.strip().splitlines()[0]
    if "\t" in header or "," in header:
        return "tsv" if header.count("\t") > header.count(",") else "csv"
    raise Invalid(f"The format of {name} is not clear.", hint=f"Name it: one of {', '.join(FORMATS)}.")


def _check_total(total: int, opened: Opened, limits: Limits) -> None:
    if total > limits.total:
        raise TooLarge(
            f"{opened.name} holds more than {limits.total >> 20} MB.",
            hint="Split it, or raise [datasets] max_source_mb.",
        )


def _too_long(limits: Limits) -> str:
    return f"the line is longer than {limits.line / (1 << 20):g} MB"


def _byte_lines(file: BufferedReader, opened: Opened, limits: Limits) -> Iterator[Line]:
    total = number = 0
    while data := file.readline(limits.line + 1):
        number += 1
        total += len(data)
        _check_total(total, opened, limits)
        if len(data) > limits.line and not data.endswith(b"\n"):
            while rest := file.readline(1 << 20):
                total += len(rest)
                _check_total(total, opened, limits)
                if rest.endswith(b"\n"):
                    break
            yield Line(number, data[:EXCERPT].decode(errors="replace"), _too_long(limits))
            continue
        codec = opened.encoding if number == 1 or opened.encoding != "utf-8-sig" else "utf-8"
        try:
            yield Line(number, data.decode(codec))
        except UnicodeDecodeError as error:
            flaw = f"not valid {codec.removesuffix('-sig').upper()} at byte {error.start + 1}"
            yield Line(number, data.decode(codec, errors="replace"), flaw)


def _text_lines(text: TextIOWrapper, opened: Opened, limits: Limits) -> Iterator[Line]:
    total = number = 0
    while data := text.readline(limits.line + 1):
        number += 1
        total += 2 * len(data)
        _check_total(total, opened, limits)
        if len(data) > limits.line and not data.endswith("\n"):
            while (rest := text.readline(1 << 20)) and not rest.endswith("\n"):
                total += 2 * len(rest)
                _check_total(total, opened, limits)
            yield Line(number, data[:EXCERPT], _too_long(limits))
            continue
        yield Line(number, data)
