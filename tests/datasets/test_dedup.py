import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.datasets.dedup import NearIndex, bands_for, exact_duplicates, near_duplicates

WORDS = [
    f"{a}{b}" for a in ("ba", "ke", "li", "mo", "nu", "ri", "ta") for b in ("der", "fin", "gle", "han", "jor")
]


def shingles(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[place : place + 3]) for place in range(len(words) - 2)}


def jaccard(one: str, other: str) -> float:
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


def corpus(seed: int, count: int) -> list[str]:
    chance = random.Random(seed)
    texts = [" ".join(chance.choices(WORDS, k=chance.randint(12, 40))) for _ in range(count)]
    for _ in range(count // 4):
        words = chance.choice(texts).split()
        words[chance.randrange(len(words))] = "edited"
        texts.append(" ".join(words))
    chance.shuffle(texts)
    return texts


@pytest.mark.parametrize("threshold", [0.6, 0.7, 0.8])
def test_it_finds_what_comparing_all_pairs_finds(threshold: float) -> None:
    texts = corpus(3, 160)
    index = NearIndex(threshold=threshold)
    for text in texts:
        index.add(text)
    first, second, similarity = index.pairs()
    found = set(zip(first.tolist(), second.tolist(), strict=True))
    true = {(i, j) for j in range(len(texts)) for i in range(j) if jaccard(texts[i], texts[j]) >= threshold}
    assert len(true) > 20
    assert found <= true
    assert len(found) >= 0.97 * len(true)
    for i, j, value in zip(first.tolist(), second.tolist(), similarity.tolist(), strict=True):
        assert value == pytest.approx(jaccard(texts[i], texts[j]))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.7, 0.9]))
def test_every_removed_document_resembles_an_earlier_kept_one(seed: int, threshold: float) -> None:
    texts = corpus(seed, 60)
    removed = near_duplicates(texts, threshold=threshold)
    gone = {found.removed for found in removed}
    for found in removed:
        assert found.kept < found.removed
        assert found.kept not in gone
        assert found.similarity >= threshold
        assert jaccard(texts[found.kept], texts[found.removed]) == pytest.approx(found.similarity, abs=1e-4)
    # Running it again on what is left removes nothing.
    left = [text for place, text in enumerate(texts) if place not in gone]
    assert len(near_duplicates(left, threshold=threshold)) <= max(1, len(gone) // 20)


def test_the_first_copy_stays() -> None:
    text = "the printer on floor three is out of paper again and nobody refills it"
    removed = near_duplicates(
        ["something else entirely with other words", text, text.upper(), text + " today"]
    )
    assert [(found.removed, found.kept) for found in removed] == [(2, 1), (3, 1)]


def test_short_empty_and_spaceless_texts() -> None:
    assert near_duplicates(["", "", "!!"]) == []
    assert [found.removed for found in near_duplicates(["yes", "no", "Yes"])] == [2]
    chinese = "我的打印机坏了请尽快派人来修理谢谢我的订单号是一二三四五六七八九十"
    other = "今天天气很好我们去公园散步然后吃了一顿非常好吃的午饭晚上回家看电影"
    assert [f.removed for f in near_duplicates([chinese, other, chinese + "了"])] == [2]


def test_thousands_of_copies_stay_linear() -> None:
    index = NearIndex()
    for _ in range(20_000):
        index.add("the same short ticket again and again")
    assert len(index.duplicates()) == 19_999


def test_clusters_follow_chains() -> None:
    words = WORDS[:30]
    steps = [" ".join([*(["new"] * n), *words[n:]]) for n in range(5)]
    index = NearIndex(threshold=0.7)
    for text in [*steps, "nothing of the kind at all in here"]:
        index.add(text)
    assert index.clusters().tolist() == [0, 0, 0, 0, 0, 5]


def test_hashes_are_the_same_in_every_process() -> None:
    index = NearIndex()
    index.add("one two three four five")
    index.pairs()
    assert np.concatenate(index._shingles).tolist() == [735200850, 1002041510, 2452260513]


def test_bands_reach_the_wanted_recall() -> None:
    for threshold in (0.3, 0.5, 0.7, 0.8, 0.9):
        bands, rows = bands_for(threshold)
        assert bands * rows <= 64
        assert 1 - (1 - threshold**rows) ** bands >= 0.985


def test_exact_duplicates() -> None:
    assert list(exact_duplicates([b"a", b"b", b"a", b"a"])) == [(2, 0), (3, 0)]
