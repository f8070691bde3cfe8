import pytest

from penstock.gateway.model import Operation
from penstock.gateway.paths import Place, listed_model, place_of


@pytest.mark.parametrize(
    ("path", "headers", "place"),
    [
        ("/v1/chat/completions", {}, Place("openai", Operation.CHAT)),
        ("/v1/responses", {}, Place("openai", Operation.RESPONSES)),
        ("/v1/messages", {}, Place("anthropic", Operation.MESSAGES)),
        ("/v1/messages/count_tokens", {}, Place("anthropic", Operation.COUNT_TOKENS)),
        ("/v1/models/gem:generateContent", {}, Place("gemini", Operation.GENERATE, "gem", False)),
        ("/v1beta/models/gem:streamGenerateContent", {}, Place("gemini", Operation.GENERATE, "gem", True)),
        ("/v1beta/models/a/b:c:countTokens", {}, Place("gemini", Operation.GEMINI_COUNT, "a/b:c", False)),
        ("/v1beta/models/a%2Fb:embedContent", {}, Place("gemini", Operation.EMBED_CONTENT, "a/b", False)),
        ("/v1/models/a:batchEmbedContents", {}, Place("gemini", Operation.BATCH_EMBED, "a", False)),
        ("/v1/models/a:b", {}, Place("openai")),
        ("/v1/models", {b"anthropic-version": b"2023-06-01"}, Place("anthropic")),
        ("/v1/models", {b"x-goog-api-key": b"k"}, Place("gemini")),
        ("/v1beta/models", {}, Place("gemini")),
        ("/v1/messages/batches", {}, Place("anthropic")),
        ("/v1/nothing", {}, Place("openai")),
    ],
)
def test_what_a_path_means(path: str, headers: dict[bytes, bytes], place: Place) -> None:
    assert place_of(path, headers) == place


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v1/models", (True, None)),
        ("/v1beta/models", (True, None)),
        ("/v1/models/org/model:free", (True, "org/model:free")),
        ("/v1beta/models/a%3Ab", (True, "a:b")),
        ("/v1/modelsx", (False, None)),
    ],
)
def test_which_model_is_asked_for(path: str, found: tuple[bool, str | None]) -> None:
    assert listed_model(path) == found
