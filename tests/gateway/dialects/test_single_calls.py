"""parallel_tool_calls = false for models that may always make several calls."""

from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.gateway.dialects import chat_to_cohere, chat_to_converse, chat_to_gemini

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("weather", "time")
]
NAMED = {"type": "function", "function": {"name": "weather"}}
WAYS = {
    "gemini": lambda body: chat_to_gemini.translate_request(body, "gemini-3-pro"),
    "converse": chat_to_converse.translate_request,
    "cohere": lambda body: chat_to_cohere.translate_request(body, "command-a"),
}


def made(way: str, choice: Any, tools: list[dict[str, Any]]) -> Any:
    body = {"messages": [{"role": "user", "content": "Hi"}], "tools": tools, "parallel_tool_calls": False}
    return WAYS[way](body | ({"tool_choice": choice} if choice else {}))


@pytest.mark.parametrize("way", WAYS)
def test_one_function_that_must_be_called_is_taken(way: str) -> None:
    for choice, tools in ((NAMED, TOOLS), (NAMED, TOOLS[:1]), ("required", TOOLS[:1])):
        assert "parallel_tool_calls" not in str(made(way, choice, tools))


@pytest.mark.parametrize("way", WAYS)
def test_where_several_calls_are_likely_it_is_refused(way: str) -> None:
    for choice, tools in ((None, TOOLS[:1]), ("auto", TOOLS), ("required", TOOLS)):
        with pytest.raises(Invalid) as caught:
            made(way, choice, tools)
        assert caught.value.details["param"] == "parallel_tool_calls"
