"""The text of documents in a folder: plain text, Markdown, HTML, and PDF with the extra `pdf`."""

import codecs
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from penstock.core import plugins
from penstock.core.errors import Invalid, NotFound
from penstock.datasets.model import BadRow
from penstock.datasets.request import Feed
from penstock.datasets.sources import EXCERPT, Limits

KINDS = {
    ".txt": "text", ".text": "text", ".md": "markdown", ".markdown": "markdown",
    ".html": "html", ".htm": "html", ".xhtml": "html", ".pdf": "pdf",
}  # fmt: skip
_MAX_PDF = 512 << 20
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset=[\"']?([\w-]{1,40})", re.IGNORECASE)
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_BLANKS = re.compile(r"[ \t\r\f\v\xa0]+")
_LINES = re.compile(r"\n{3,}")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, slots=True)
class _Found:
    path: Path
    name: str
    kind: str


def feed(folder: Path, limits: Limits, *, pattern: str = "**/*") -> Feed:
    """Return the documents that match `pattern` (as pathlib's glob) as rows, one each, in the order of their paths.

    A row has `path`, `kind`, `title`, `text`, `bytes` and, for PDF, `pages`. Hidden files and links that
    lead out of the folder are left aside, and files of other kinds, which are counted in the record.
    Raises NotFound, Invalid when there are none, MissingExtra when there is a PDF file and no reader.
    """
    if not folder.is_dir():
        raise NotFound(f"There is no folder {folder}.", hint="Check the path.")
    files, others = _find(folder, pattern)
    if not files:
        raise Invalid(
            f"{folder} holds no document that matches {pattern!r}.", hint=f"Read are {', '.join(KINDS)}."
        )
    pages = plugins.load("importers", "pdf") if any(file.kind == "pdf" for file in files) else None

    def rows(skip: int) -> Iterator[Any]:
        for number, file in enumerate(files[skip:], start=skip + 1):
            yield _row(number, file, limits, pages)

    return Feed(
        name=folder.name or str(folder),
        format="folder",
        rows=rows,
        fingerprint=_fingerprint(folder, files),
        detail={
            "folder": str(folder.absolute()),
            "pattern": pattern,
            "files": str(len(files)),
            "files_of_other_kinds": str(others),
        },
    )


def _find(folder: Path, pattern: str) -> tuple[list[_Found], int]:
    root = folder.resolve()
    found, others = [], 0
    for path in sorted(folder.glob(pattern)):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts) or not path.is_file():
            continue
        if not path.resolve().is_relative_to(root):
            continue
        kind = KINDS.get(path.suffix.lower())
        if kind is None:
            others += 1
        else:
            found.append(_Found(path, name.as_posix(), kind))
    return found, others


def _fingerprint(folder: Path, files: list[_Found]) -> str:
    name = hashlib.sha256(str(folder.absolute()).encode())
    for file in files:
        status = file.path.stat()
        name.update(f"\n{file.name}\0{status.st_size}\0{status.st_mtime_ns}".encode(errors="surrogatepass"))
    return name.hexdigest()


def _row(number: int, file: _Found, limits: Limits, pages: Any) -> Mapping[str, Any] | BadRow:
    size = file.path.stat().st_size
    most = _MAX_PDF if file.kind == "pdf" else limits.line
    try:
        if size > most:
            raise Invalid(f"the file is larger than {most >> 20} MB")
        if file.kind == "pdf":
            texts = pages(file.path)
            return _named(file, size, "", "\n\f\n".join(texts).strip(), pages=len(texts))
        data = file.path.read_bytes()
        if file.kind == "html":
            return _named(file, size, *html_text(_decoded(data, _charset(data))))
        text = _decoded(data, "")
        title = _HEADING.search(text) if file.kind == "markdown" else None
        return _named(file, size, title[1] if title else "", text)
    except (Invalid, OSError) as error:
        return BadRow(line=number, reason=str(error), excerpt=file.name[:EXCERPT])


def _named(file: _Found, size: int, title: str, text: str, **more: int) -> dict[str, Any]:
    # A name of undecodable bytes cannot be written as JSON.
    name = file.name.encode(errors="replace").decode()
    return {"path": name, "kind": file.kind, "title": title or None, "text": text, "bytes": size, **more}


def _charset(data: bytes) -> str:
    found = _CHARSET.search(data[:4096])
    return found[1].decode() if found else ""


def _decoded(data: bytes, declared: str) -> str:
    """Return the text: by its byte order mark, what it declares, UTF-8, else Windows-1252; raises Invalid."""
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if b"\0" in data and not marked:
        raise Invalid("a binary file")
    for encoding in filter(None, (marked, declared, "utf-8", "cp1252")):
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    raise Invalid("its text encoding cannot be found out")


class _Text(HTMLParser):
    """Collects what a browser shows."""

    HIDDEN = frozenset({"script", "style", "noscript", "template", "svg", "head", "iframe", "object"})
    BLOCKS = frozenset(
        {"address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "fieldset", "figcaption",
         "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol",
         "p", "pre", "section", "table", "tr", "ul"}
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title: list[str] = []
        self._hidden: list[str] = []
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - given by the parser
        if tag == "title":
            self._in_title = True
        elif tag == "body":
            # A head that was never closed ends here.
            self._hidden.clear()
        elif tag in self.HIDDEN:
            self._hidden.append(tag)
        elif tag in self.BLOCKS:
            self.parts.append("\n")
        elif tag in ("td", "th"):
            self.parts.append("\t")

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        elif tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif not self._hidden:
            self.parts.append(data)


def html_text(html: str) -> tuple[str, str]:
    """Return (title, text) of an HTML page: blocks on lines of their own, no scripts, styles or markup."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = (_BLANKS.sub(" ", line).strip() for line in "".join(parser.parts).split("\n"))
    return " ".join("".join(parser.title).split()), _LINES.sub("\n\n", "\n".join(lines)).strip()
