"""Token classes are kept apart, whichever way the sender counts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.traces import tokens
from penstock.traces.reading import Reading

OPENAI = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 60}}
ANTHROPIC = {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 60}
CASES: list[tuple[str, dict[str, Any], tuple[int, int, int, int, int]]] = [
    ("OpenAI's object", {"langfuse.observation.usage_details": OPENAI}, (100, 20, 60, 0, 0)),
    (
        "Anthropic's object, small cache",
        {"langfuse.observation.usage_details": ANTHROPIC},
        (160, 20, 60, 0, 0),
    ),
    (
        "Langfuse's classes",
        {"langfuse.observation.usage_details": {"input": 40, "input_cached_tokens": 60, "output": 20}},
        (100, 20, 60, 0, 0),
    ),
    (
        "OpenAI's Responses",
        {
            "langfuse.observation.usage_details": {
                "input_tokens": 100,
                "output_tokens": 20,
                "input_tokens_details": {"cached_tokens": 60},
                "output_tokens_details": {"reasoning_tokens": 8},
            }
        },
        (100, 20, 60, 0, 8),
    ),
    (
        "LangChain's",
        {
            "langsmith.metadata.usage_metadata": {
                "input_tokens": 100,
                "output_tokens": 20,
                "total_tokens": 120,
                "input_token_details": {"cache_read": 60, "cache_creation": 10},
            }
        },
        (100, 20, 60, 10, 0),
    ),
    (
        "MLflow of OpenAI",
        {
            "mlflow.chat.tokenUsage": {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120},
            "mlflow.message.format": '"openai"',
        },
        (100, 20, 0, 0, 0),
    ),
    (
        "Vercel AI SDK 5, Anthropic",
        {
            "ai.usage.inputTokens": 100,
            "ai.usage.outputTokens": 20,
            "ai.usage.cachedInputTokens": 60,
            "ai.model.provider": "anthropic.messages",
        },
        (160, 20, 60, 0, 0),
    ),
    (
        "Vercel AI SDK 5, OpenAI",
        {
            "ai.usage.inputTokens": 100,
            "ai.usage.outputTokens": 20,
            "ai.usage.cachedInputTokens": 60,
            "ai.model.provider": "openai.chat",
        },
        (100, 20, 60, 0, 0),
    ),
    (
        "Vercel AI SDK 6, Anthropic",
        {
            "ai.usage.inputTokens": 100,
            "ai.usage.outputTokens": 20,
            "ai.usage.cachedInputTokens": 60,
            "ai.usage.inputTokenDetails.cacheReadTokens": 60,
            "ai.model.provider": "anthropic.messages",
        },
        (100, 20, 60, 0, 0),
    ),
    (
        "the sum says that the cache is beside",
        {
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.cache_read.input_tokens": 60,
            "gen_ai.usage.total_tokens": 180,
        },
        (160, 20, 60, 0, 0),
    ),
    (
        "more cached than read",
        {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.cache_read.input_tokens": 60},
        (70, 0, 60, 0, 0),
    ),
    ("only a total", {"llm.token_count.total": 12, "llm.token_count.completion": 2}, (10, 2, 0, 0, 0)),
    (
        "text and floats",
        {"gen_ai.usage.input_tokens": "10", "gen_ai.usage.output_tokens": 2.0},
        (10, 2, 0, 0, 0),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_every_way_of_counting(case: tuple[str, dict[str, Any], tuple[int, ...]]) -> None:
    found = tokens.of(Reading(case[1], counted=True), case[1])
    assert (found.input, found.output, found.cached, found.cache_write, found.reasoning) == case[2]


def test_audio_and_images_are_kept_for_their_prices() -> None:
    given = {
        "llm.token_count.prompt": 100,
        "llm.token_count.prompt_details.audio": 30,
        "llm.token_count.completion": 9,
        "llm.token_count.completion_details.audio": 4,
    }
    assert tokens.of(Reading(given, counted=True), given).finer == {"audio_input": 30, "audio_output": 4}


counts = st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4) | st.none()
keys = sorted(key for key in CASES[-4][1] | CASES[6][1] | CASES[8][1])


@given(st.dictionaries(st.sampled_from(keys), counts))
def test_parts_never_exceed_the_whole(attributes: dict[str, Any]) -> None:
    found = tokens.of(Reading(attributes, counted=True), attributes)
    assert 0 <= found.reasoning <= found.output
    assert 0 <= found.cached + found.cache_write <= found.input
