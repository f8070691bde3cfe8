"""Figures of a profile that can be worked out by hand."""

from typing import Any

from penstock.core import toxicity
from penstock.core.tokens import by_thumb
from penstock.datasets import profile, topics
from penstock.datasets.embedding import WordVectors
from penstock.datasets.model import Row
from penstock.datasets.schema import SchemaBuilder

SUBJECTS = {
    "bread": "the baker bakes bread from flour and yeast in the oven every morning",
    "ships": "the captain steers ships through harbour waters and anchors behind the lighthouse",
    "code": "the compiler parses source code and links object files into a program",
}


def of(rows: list[Row], sample: int = 1000) -> dict[str, Any]:
    schema = SchemaBuilder()
    for row in rows:
        schema.observe(row)
    return profile.profile(list(enumerate(rows, start=1)), schema.columns(), sample=sample)


def test_tokens_toxicity_and_balance() -> None:
    rows: list[Row] = [
        {"t": "you are a stupid idiot, says he", "y": "a"},
        {"t": "what a lovely day this is", "y": "a"},
        {"t": "another day in the damn garden", "y": "b"},
        {"t": "and one more day of rain", "y": "a"},
    ] * 3
    found = of(rows)
    text = found["text"]
    assert found["format"] == profile.FORMAT
    assert text["toxic_words"] == {"insult": 6, "profanity": 3}
    assert text["rows_with_toxic_words"] == 6
    assert text["toxic_words_per_1000"] == round(9000 / (25 * 3), 4)
    assert found["labels"]["y"] == {"a": 9, "b": 3}
    assert found["balance"]["y"] == {"classes": 2, "entropy": 0.8113, "largest_to_smallest": 3.0}
    assert found["columns"][0]["tokens"]["max"] == 8


def test_tokens_by_script() -> None:
    assert (by_thumb(""), by_thumb("four"), by_thumb("fives"), by_thumb("日本語"), by_thumb("привет")) == (
        0,
        1,
        2,
        3,
        3,
    )


def test_topics_are_named_by_their_own_words() -> None:
    texts = [f"{text} number {n}" for n in range(30) for text in SUBJECTS.values()]
    found = topics.topics(texts, WordVectors())
    named = {
        subject
        for topic in found
        for subject in SUBJECTS
        if subject in SUBJECTS[subject] and set(topic["terms"]) & set(SUBJECTS[subject].split())
    }
    assert named == set(SUBJECTS)
    for topic in found:
        owners = [subject for subject, text in SUBJECTS.items() if set(topic["terms"]) & set(text.split())]
        assert len(owners) == 1
    assert sum(topic["rows"] for topic in found) == 90
    assert topics.topics(texts[:5], WordVectors()) == []


def test_word_lists_name_each_word_once() -> None:
    words = [word for words in toxicity.LISTS.values() for word in words.split()]
    assert len(words) == len(set(words))
    assert toxicity.count("Idiot! Idiots, kill; skill") == {"insult": 2, "threat": 1}


def test_before_and_after_survive_an_older_profile() -> None:
    new = of([{"t": "a few words of text"}])
    old = {key: value for key, value in new.items() if key not in ("format", "balance")}
    old["text"] = {
        k: v for k, v in new["text"].items() if not k.startswith(("toxic", "rows_with_toxic", "topics"))
    }
    moved = profile.compare(old, new)
    assert moved["rows"] == [1, 1]
    assert "toxic_words_per_1000" not in moved
    assert profile.compare(new, new)["mean_tokens"] == {"t": [5.0, 5.0]}
