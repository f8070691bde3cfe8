"""Which call a path means: its API family, operation, and for Gemini's API the model and the manner."""

from typing import NamedTuple
from urllib.parse import unquote

from penstock.core.http.families import Family
from penstock.gateway.model import Operation

PREFIX = "/v1/"
GEMINI_PREFIX = "/v1beta/"
MODELS = "/v1/models"
GEMINI_MODELS = "/v1beta/models"
_VERBS = {
    "generateContent": (Operation.GENERATE, False),
    "streamGenerateContent": (Operation.GENERATE, True),
    "countTokens": (Operation.GEMINI_COUNT, False),
    "embedContent": (Operation.EMBED_CONTENT, False),
    "batchEmbedContents": (Operation.BATCH_EMBED, False),
}
_ANTHROPIC = (Operation.MESSAGES, Operation.COUNT_TOKENS)


class Place(NamedTuple):
    """What a path stands for; `operation` is None for paths that call no model."""

    family: Family
    operation: Operation | None = None
    model: str | None = None
    stream: bool | None = None


PLACES = {
    f"{PREFIX}{operation}": Place("anthropic" if operation in _ANTHROPIC else "openai", operation)
    for operation in Operation
    if operation not in {operation for operation, _ in _VERBS.values()}
}
"""Paths that name their operation outright."""


def place_of(path: str, headers: dict[bytes, bytes]) -> Place:
    """Return what `path` stands for. Model names may hold `/` and `:`; the last `:` starts the verb."""
    found = PLACES.get(path)
    if found is not None:
        return found
    for models in (MODELS, GEMINI_MODELS):
        if path.startswith(models + "/"):
            model, _, verb = path[len(models) + 1 :].rpartition(":")
            if model and verb in _VERBS:
                operation, stream = _VERBS[verb]
                return Place("gemini", operation, unquote(model), stream)
    if path.startswith(GEMINI_PREFIX) or b"x-goog-api-key" in headers:
        return Place("gemini")
    if path.startswith(f"{PREFIX}messages") or (path.startswith(MODELS) and b"anthropic-version" in headers):
        return Place("anthropic")
    return Place("openai")


def listed_model(path: str) -> tuple[bool, str | None]:
    """Return whether `path` asks for models, and which one; None for all of them."""
    for models in (MODELS, GEMINI_MODELS):
        if path == models:
            return True, None
        if path.startswith(models + "/"):
            return True, unquote(path[len(models) + 1 :])
    return False, None
