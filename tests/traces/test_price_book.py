from datetime import date
from urllib.parse import urlsplit

import pytest

from penstock.traces import price_book, prices
from penstock.traces.price_book import book, listed


def test_the_book_is_sane_and_says_where_each_price_was_seen() -> None:
    assert date.fromisoformat(book().version)
    for one in book().lists:
        assert date.fromisoformat(one.as_of) <= date.fromisoformat(book().version)
        assert one.sources
        assert all(urlsplit(source).scheme == "https" for source in one.sources)
        for model, price in one.models.items():
            assert model == model.lower()
            prices.check_price(price)
            assert price.cached is None or price.cached <= price.input
            for tier in price.tiers:
                assert (tier.input or 0) >= price.input
    for target in book().aliases.values():
        assert listed(target) is not None


def test_every_listed_name_leads_to_itself() -> None:
    for entry in price_book.everything():
        provider = entry.source.provider if entry.source.only else None
        found = listed(entry.name, provider)
        assert found is not None
        assert found.name == entry.name


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("global.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("eu.anthropic.claude-sonnet-4-6", "eu.anthropic.claude-sonnet-4-6"),
        ("publishers/anthropic/models/claude-opus-4-1@20250805", "claude-opus-4-1"),
        ("models/gemini-3-flash-preview", "gemini-3-flash"),
        ("google/gemini-2.5-pro-preview-05-06", "gemini-2.5-pro"),
        ("amazon.nova-pro-v1:0", "nova-pro"),
        ("gpt-35-turbo", "gpt-3.5-turbo"),
        ("gpt-5.6", "gpt-5.6-sol"),
        ("mistral-small-latest", "mistral-small"),
        ("mistral-small-2506", "mistral-small-2506"),
        ("command-r-08-2024", "command-r"),
        ("cohere.command-r-plus-v1:0", "command-r-plus"),
    ],
)
def test_names_of_clouds_and_dates_lead_to_the_listed_model(name: str, wanted: str) -> None:
    found = listed(name)
    assert found is not None
    assert found.name == wanted


@pytest.mark.parametrize(
    ("model", "provider", "usd"),
    [
        ("openai/gpt-oss-20b", "groq", 0.075),
        ("openai/gpt-oss-20b", "my-together", 0.05),
        ("openai.gpt-oss-20b-1:0", "bedrock-eu", 0.07),
        ("groq/llama-3.1-8b-instant", "litellm", 0.05),
        ("meta.llama3-3-70b-instruct-v1:0", "bedrock", 0.72),
        ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "together", 0.88),
    ],
)
def test_open_models_cost_what_their_host_asks(model: str, provider: str, usd: float) -> None:
    found = listed(model, provider)
    assert found is not None
    assert found.price.input == usd


def test_a_host_s_price_holds_nowhere_else() -> None:
    assert listed("gpt-oss-20b", "somebody") is None
