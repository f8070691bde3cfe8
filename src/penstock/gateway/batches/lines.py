"""The lines of a batch's input file, and of its results."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from penstock.core import ids
from penstock.gateway.batches.calling import Answer
from penstock.gateway.batches.model import Line

MAX_ERRORS = 100
"""Problems of an input file that are told."""


class Item(NamedTuple):
    """One request of a batch."""

    number: int
    custom_id: str
    body: bytes
    """The body as it stands in the file."""


class Problem(NamedTuple):
    """What is wrong with a line (or, without a number, with the file)."""

    code: str
    message: str
    number: int | None = None
    param: str | None = None

    def shown(self) -> dict[str, Any]:
        """Return the problem as OpenAI's API shows it."""
        return {"code": self.code, "message": self.message, "param": self.param, "line": self.number}


class _Line(msgspec.Struct):
    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class _Body(msgspec.Struct):
    model: str
    stream: bool | None = None


_LINES = msgspec.json.Decoder(_Line)
_BODIES = msgspec.json.Decoder(_Body)


def raw_lines(path: Path, longest: int) -> Iterator[tuple[int, bytes]]:
    """Yield (number, line) of the lines that are not blank; a longer one is cut at `longest` + 1 bytes."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(longest + 1):
            number += 1
            if len(line) > longest:
                while (rest := file.readline(1 << 20)) and not rest.endswith(b"\n"):
                    pass
            if line.strip():
                yield number, line


def parse(number: int, line: bytes, endpoint: str) -> Item | Problem:
    """Return the request that a line holds, or what is wrong with it."""
    try:
        found = _LINES.decode(line)
    except msgspec.ValidationError as error:
        return Problem("invalid_request", f"The line is not right: {error}.", number)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Problem("invalid_json_line", "This line is not parseable as valid JSON.", number)
    if not found.custom_id:
        return Problem("missing_required_parameter", "custom_id is empty.", number, "custom_id")
    if found.method != "POST":
        return Problem("invalid_method", f"The method must be POST, not {found.method!r}.", number, "method")
    if found.url != endpoint:
        text = f"The URL {found.url!r} is not the batch's endpoint {endpoint!r}."
        return Problem("mismatched_endpoint", text, number, "url")
    body = bytes(found.body)
    try:
        asked = _BODIES.decode(body)
    except msgspec.ValidationError as error:
        return Problem("invalid_request", f"The body is not right: {error}.", number, "body")
    if not asked.model:
        return Problem("missing_required_parameter", "The model is missing.", number, "body.model")
    if asked.stream:
        return Problem("invalid_request", "A batch cannot stream.", number, "body.stream")
    return Item(number, found.custom_id, body)


def check(path: Path, endpoint: str, *, most: int, longest: int) -> tuple[int, list[Problem]]:
    """Return how many requests the file holds, and what is wrong (at most MAX_ERRORS problems)."""
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for number, line in raw_lines(path, longest):
        if len(seen) >= most:
            problems.append(Problem("too_many_tasks", f"A batch takes at most {most} requests."))
            break
        if len(line) > longest:
            item: Item | Problem = Problem("line_too_long", f"The line is over {longest} bytes.", number)
        else:
            item = parse(number, line, endpoint)
        if isinstance(item, Item) and item.custom_id in seen:
            text = f"The custom_id {item.custom_id[:100]!r} stands in line {seen[item.custom_id]} already."
            item = Problem("duplicate_custom_id", text, number, "custom_id")
        if isinstance(item, Item):
            seen[item.custom_id] = number
        else:
            problems.append(item)
        if len(problems) >= MAX_ERRORS:
            break
    if not seen and not problems:
        problems.append(Problem("empty_file", "The file holds no requests."))
    return len(seen), problems


def items(path: Path, endpoint: str, longest: int, done: set[int]) -> Iterator[Item]:
    """Yield the requests that are not done; the file was checked before."""
    for number, line in raw_lines(path, longest):
        if number not in done:
            item = parse(number, line, endpoint)
            assert isinstance(item, Item)
            yield item


def answered(item: Item, answer: Answer) -> Line:
    """Return the finished line of an answer; JSON bodies stay as they came, byte for byte."""
    body = (
        msgspec.Raw(answer.body)
        if _is_json(answer)
        else msgspec.json.encode(answer.body.decode("utf-8", "replace"))
    )
    response = {
        "status_code": answer.status,
        "request_id": answer.headers.get(b"x-request-id", b"").decode("latin-1"),
        "body": msgspec.Raw(body),
    }
    return _line(item, response, None, good=200 <= answer.status < 300)


def _is_json(answer: Answer) -> bool:
    try:
        msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return b"\n" not in answer.body


def unanswered(item: Item, code: str, message: str) -> Line:
    """Return the finished line of a request that got no answer."""
    return _line(item, None, {"code": code, "message": message}, good=False)


def _line(
    item: Item, response: Mapping[str, Any] | None, error: Mapping[str, str] | None, *, good: bool
) -> Line:
    result = {
        "id": ids.new_id("batch_req"),
        "custom_id": item.custom_id,
        "response": response,
        "error": error,
    }
    return Line(item.number, good, msgspec.json.encode(result))


def write(path: Path, salt: bytes, results: Iterable[bytes]) -> int:
    """Write results into a file behind `salt`; returns the size of what came behind it, in bytes."""
    size = 0
    with path.open("wb") as out:
        out.write(salt)
        for result in results:
            size += out.write(result + b"\n")
    return size
