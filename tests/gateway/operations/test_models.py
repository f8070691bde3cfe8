"""The list of models, with the unmodified clients of three families."""

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors

from tests.gateway.conftest import Running


def test_openai(chat: openai.OpenAI) -> None:
    found = {model.id: model for model in chat.models.list()}
    assert {"oa", "an", "omni-moderation-latest"} <= set(found)
    assert found["oa"].object == "model" and found["oa"].owned_by == "penstock" and found["oa"].created > 0
    assert chat.models.retrieve("an") == found["an"]
    with pytest.raises(openai.NotFoundError, match="Did you mean") as caught:
        chat.models.retrieve("omni-moderation-lates")
    assert caught.value.code == "model_not_found"


def test_anthropic(messages: anthropic.Anthropic) -> None:
    page = messages.models.list(limit=2)
    found = {model.id: model for model in page}
    assert {"oa", "an"} <= set(found) and not page.has_more
    assert found["an"].type == "model" and found["an"].display_name == "an"
    assert found["an"].lifecycle == "active" and found["an"].created_at.year > 2000
    assert (page.first_id, page.last_id) == (min(found), max(found))
    assert messages.models.retrieve("an") == found["an"]
    with pytest.raises(anthropic.NotFoundError, match="'nope' does not exist"):
        messages.models.retrieve("nope")


def test_google(google: genai.Client) -> None:
    found = {model.name: model for model in google.models.list()}
    assert {"models/oa", "models/an"} <= set(found)
    assert "generateContent" in found["models/oa"].supported_actions
    assert google.models.get(model="an").name == "models/an"
    with pytest.raises(errors.ClientError, match="'nope' does not exist") as caught:
        google.models.get(model="nope")
    assert caught.value.code == 404 and caught.value.status == "NOT_FOUND"


def test_names_with_slashes(gateway: Running, chat: openai.OpenAI, messages: anthropic.Anthropic) -> None:
    for client in (chat, messages):
        assert client.models.retrieve("oa/gpt-fake:free").id == "oa/gpt-fake:free"
    assert gateway.url
