"""HTML to the text that a reader would see, by the standard library's tolerant parser."""

import html
import re
from html.parser import HTMLParser

_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9-]*(?:\s[^<>]*)?/?>|<!--|<!DOCTYPE", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:[a-zA-Z][a-zA-Z0-9]{1,31}|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});")
_HIDDEN = frozenset({"script", "style", "noscript", "template", "svg", "head", "iframe"})
_NAMES = (
    "address article aside blockquote br dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6"
    " header hr li main nav ol option p pre section table tbody td tfoot th thead tr ul"
)
_BLOCKS = frozenset(_NAMES.split())
_SPACES = re.compile(r"[ \t\r\f\v\u00a0]+")
_LINES = re.compile(r"\s*\n\s*")


class _Reader(HTMLParser):
    def __init__(self, *, links: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden: list[str] = []
        self._links = links
        self._targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden.append(tag)
        elif tag in _BLOCKS:
            self.parts.append("\n")
        elif tag == "a" and self._links:
            self._targets.append(dict(attrs).get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        if self._hidden and tag == self._hidden[-1]:
            self._hidden.pop()
        elif tag in _BLOCKS:
            self.parts.append("\n")
        elif tag == "a" and self._targets:
            target = self._targets.pop()
            if target and not self._hidden:
                self.parts.append(f" ({target})")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - as the parser calls it
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def text_from(markup: str, *, links: bool = False) -> str:
    """Return the visible text of `markup`; text without a tag or entity comes back unchanged.

    Blocks become lines; scripts, styles and the head are left out; entities become characters. `1 < 2` is
    no tag.
    """
    if not _TAG.search(markup):
        return html.unescape(markup) if _ENTITY.search(markup) else markup
    reader = _Reader(links=links)
    reader.feed(markup)
    reader.close()
    text = _SPACES.sub(" ", "".join(reader.parts))
    return _LINES.sub("\n", text).strip()
