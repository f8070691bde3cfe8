"""Generated content as server-sent events: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent."""

from collections.abc import Iterable, Iterator
from typing import Any

from penstock.gateway.cache.pieces import data, pieces

Body = dict[str, Any]


def candidates(answer: Body, include_usage: bool) -> Iterator[bytes]:  # noqa: ARG001 - counts always belong to it
    """Yield each candidate's parts, texts in pieces, then the finish reasons with the counts."""
    head = {name: value for name, value in answer.items() if name not in ("candidates", "usageMetadata")}
    ends: list[Body] = []
    for candidate in answer.get("candidates") or ():
        content = candidate.get("content") or {}
        index = candidate.get("index", 0)
        for part in _pieces(content.get("parts") or ()):
            piece = {"content": {"role": content.get("role", "model"), "parts": [part]}, "index": index}
            yield data({**head, "candidates": [piece]})
        ends.append({**candidate, "content": {**content, "parts": []}, "index": index})
    last = {**head, "candidates": ends}
    if "usageMetadata" in answer:
        last["usageMetadata"] = answer["usageMetadata"]
    yield data(last)


def _pieces(parts: Iterable[Body]) -> Iterator[Body]:
    for part in parts:
        text = part.get("text")
        if not isinstance(text, str) or not text:
            yield part
            continue
        cut = list(pieces(text))
        bare = {name: value for name, value in part.items() if name != "thoughtSignature"}
        for piece in cut[:-1]:
            yield {**bare, "text": piece}
        yield {**part, "text": cut[-1]}
