"""Recipes: YAML in, frozen values out, mistakes named."""

from pathlib import Path

import pytest

from penstock.core.errors import Invalid, NotFound
from penstock.training import recipe as recipes

NEEDED = {"name": "triage", "method": "sft", "base": "base@1", "dataset": "tickets@1"}


def test_defaults_are_stated_and_survive_a_round_trip() -> None:
    made = recipes.parse(NEEDED)
    assert (made.epochs, made.batch_size, made.adapter.rank, made.preference.losses) == (
        1.0,
        16,
        16,
        ["sigmoid"],
    )
    assert recipes.parse(made.to_dict()) == made


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"learning_rat": 1}, "Unknown recipe key learning_rat", "'learning_rate'"),
        ({"preference": {"bta": 1}}, "Unknown recipe key preference.bta", "'beta'"),
        ({"epochs": "many"}, "epochs must be a number", ""),
        ({"batch_size": True}, "batch_size must be of type int", ""),
        ({"batch_size": 0}, "batch_size must be above zero", ""),
        ({"adapter": 3}, "adapter must be a table", ""),
        ({"schedule": "cosin"}, "'cosin' is not a schedule", "'cosine'"),
        ({"preference": {"losses": ["sigmod"]}}, "'sigmod' is not a preference loss", "'sigmoid'"),
        ({"preference": {"losses": []}}, "preference.losses is empty", ""),
        ({"preference": {"losses": ["sigmoid"], "weights": [1.0, 2.0]}}, "one weight for each", ""),
        ({"base": ""}, "The recipe lacks base", "--set"),
    ],
)
def test_mistakes_are_named(changes: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(Invalid) as caught:
        recipes.parse(recipes.merge(NEEDED, changes))
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_yaml_numbers_without_a_dot_are_numbers(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: a\nmethod: sft\nbase: b@1\ndataset: d@1\nlearning_rate: 5e-3\nepochs: 2\n")
    made = recipes.load(file, **{"preference.beta": 0.3, "seed": 7})
    assert (made.learning_rate, made.epochs, made.preference.beta, made.seed) == (0.005, 2.0, 0.3, 7)
    assert made.preference.losses == ["sigmoid"]


@pytest.mark.parametrize("text", ["name: [", "- a\n- b\n", "\x00"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(Invalid, match=r"broken\.yaml"):
        recipes.load(file)


def test_every_ready_recipe_is_whole() -> None:
    assert recipes.ready() == ["dpo-corrections", "dpo-replay", "sft-lora"]
    for name in recipes.ready():
        made = recipes.load(name, name="m", base="b@1", dataset="d@1")
        assert made.method == name.partition("-")[0]
        assert recipes.source(name).startswith("#")


def test_an_unknown_recipe_is_suggested() -> None:
    with pytest.raises(NotFound) as caught:
        recipes.load("sft-lore")
    assert "'sft-lora'" in caught.value.hint
    with pytest.raises(NotFound):
        recipes.source("nope")
