"""METEOR's formula by hand, and words of bad taste."""

import pytest

from penstock.core.errors import Invalid
from penstock.evals.model import Output, Sample
from penstock.evals.scorers.meteor import Meteor, align, meteor, stem
from penstock.evals.scorers.toxicity import Toxicity

HYPOTHESIS = "It is a guide to action which ensures that the military always obeys the commands of the party"
REFERENCE = "It is a guide to action that ensures that the military will forever heed Party commands"


def scored(scorer: Meteor | Toxicity, text: str, *references: str) -> dict[str, float]:
    sample = Sample(id="a", ordinal=0, messages=(), references=references)
    return scorer.score(sample, Output(sample_id="a", text=text))


def test_the_papers_formula() -> None:
    # 12 of 18 and of 16 words match in 4 runs: "it … action", "ensures … military", "commands", "party".
    precision, recall = 12 / 18, 12 / 16
    expected = 10 * precision * recall / (recall + 9 * precision) * (1 - 0.5 * (4 / 12) ** 3)
    assert meteor(HYPOTHESIS, REFERENCE) == pytest.approx(expected)
    assert meteor("the cat sat", "the cat sat") == pytest.approx(1 - 0.5 / 27)
    assert meteor("this is a cat", "non matching hypothesis") == 0.0
    assert meteor("", "") == 0.0


def test_order_counts_and_stems_match() -> None:
    assert meteor("on the mat sat the cat", "the cat sat on the mat") == pytest.approx(1 - 0.5 * (3 / 6) ** 3)
    assert meteor("the cat sat on the mat", "the cat sat on the mat") == pytest.approx(1 - 0.5 / 6**3)
    assert align(["cats", "jumping"], ["cat", "jumped"]) == {0: 0, 1: 1}
    assert align(["the", "end", "the", "start"], ["the", "start", "the", "end"]) == {0: 0, 1: 3, 2: 2, 3: 1}
    assert scored(Meteor(), "the cat", "a dog", "the cat")["meteor"] == pytest.approx(1 - 0.5 / 8)
    assert scored(Meteor(), "the cat") == {}


# Porter, An algorithm for suffix stripping, Program 14 (1980), the examples of step 1.
@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("caresses", "caress"), ("ponies", "poni"), ("ties", "ti"), ("caress", "caress"), ("cats", "cat"),
        ("feed", "feed"), ("agreed", "agree"), ("plastered", "plaster"), ("bled", "bled"), ("motoring", "motor"),
        ("sing", "sing"), ("conflated", "conflate"), ("troubled", "trouble"), ("sized", "size"),
        ("hopping", "hop"), ("tanned", "tan"), ("falling", "fall"), ("hissing", "hiss"), ("fizzed", "fizz"),
        ("failing", "fail"), ("filing", "file"), ("happy", "happi"), ("sky", "sky"),
    ],
)  # fmt: skip
def test_porters_examples(word: str, expected: str) -> None:
    assert stem(word) == expected


def test_listed_words_count_by_kind() -> None:
    found = scored(Toxicity(), "You idiot, I will KILL the process.")
    assert found == {
        "toxicity": 1.0,
        "toxicity.insult": 1.0,
        "toxicity.profanity": 0.0,
        "toxicity.threat": 1.0,
        "toxicity.sexual": 0.0,
    }
    assert scored(Toxicity(kinds=["threat"], except_=["kill"]), "kill -9") == {
        "toxicity": 0.0,
        "toxicity.threat": 0.0,
    }
    assert scored(Toxicity(kinds=[], words=["Flibber"]), "flibber!")["toxicity.own"] == 1.0
    assert scored(Toxicity(), "A classic assassin in Scunthorpe.")["toxicity"] == 0.0
    measure = Toxicity().measure("toxicity")
    assert measure is not None and not measure.higher_is_better
    assert Toxicity(kinds=["insult"]).measure("toxicity.threat") is None


@pytest.mark.parametrize("options", [{"kinds": ["insults"]}, {"kinds": "insult"}, {"words": "a"}])
def test_wrong_options_of_toxicity(options: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        Toxicity(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"alpha": 1.0}, {"beta": 0}, {"gamma": 2}])
def test_wrong_options_of_meteor(options: dict[str, float]) -> None:
    with pytest.raises(Invalid):
        Meteor(**options)
