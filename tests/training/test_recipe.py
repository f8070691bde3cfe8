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
        ({"preference": {"losses": "sigmoid"}}, "preference.losses must be a list", ""),
        ({"adapter": {"targets": 3}}, "adapter.targets must be of type str", ""),
        ({"adapter": {"quantise": "4bits"}}, "'4bits' is not a quantisation", "'4bit'"),
        ({"adapter": {"quantise": "4bit", "rank": 0}}, "cannot be trained themselves", "adapter.rank"),
        ({"adapter": {"rank": -1}}, "adapter.rank must not be below 0", ""),
        ({"loss_on": "answer"}, "loss_on cannot be 'answer'", "'answers'"),
        ({"arguments": {1: 2}}, "arguments must be a table of keys", ""),
        ({"packing": 1}, "packing must be of type bool", ""),
        ({"rewards": [{"scorer": "exact", "model": "r@1"}]}, "either a scorer or a model", ""),
        ({"rewards": [{"scorr": "exact"}]}, "Unknown recipe key rewards[0].scorr", "'scorer'"),
        ({"rewards": {"scorer": "exact"}}, "rewards must be a list", ""),
        ({"method": "grpo"}, "grpo needs rewards", "scorer: exact"),
        (
            {"method": "rloo", "rewards": [{"scorer": "exact"}], "batch_size": 10},
            "not a multiple",
            "one step",
        ),
        ({"sampling": {"generations": 1}}, "sampling.generations must be at least 2", ""),
        ({"sampling": {"temperature": 0}}, "temperature above 0", ""),
        ({"teacher": {"share": 1.5}}, "teacher.share must be between 0 and 1", ""),
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
    names = recipes.ready()
    methods = {name.partition("-")[0] for name in names}
    assert methods == {"sft", "pretrain", "dpo", "kto", "reward", "grpo", "rloo", "distil"}
    for name in names:
        own = {"rewards": [{"model": "r@1"}]} if name == "rloo-reward-model" else {}
        made = recipes.load(name, name="m", base="b@1", dataset="d@1", **own)
        assert made.method == name.partition("-")[0]
        assert recipes.source(name).startswith("#")
        assert len(recipes.description(name)) > 40


def test_a_name_is_never_taken_for_a_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: a\nmethod: sft\nbase: b@1\ndataset: d@1\n")
    assert recipes.load(file).name == "a"
    with pytest.raises(NotFound):
        recipes.load(str(file))


def test_tables_in_lists_become_values() -> None:
    rewards = [{"scorer": "fields", "weight": 2}, {"model": "r@1"}]
    made = recipes.parse({**NEEDED, "method": "grpo", "rewards": rewards, "arguments": {"epsilon": 0.1}})
    assert [(term.scorer, term.model, term.weight) for term in made.rewards] == [
        ("fields", "", 2.0),
        ("", "r@1", 1.0),
    ]
    assert recipes.parse(made.to_dict()) == made


def test_an_unknown_recipe_is_suggested() -> None:
    with pytest.raises(NotFound) as caught:
        recipes.load("sft-lore")
    assert "'sft-lora'" in caught.value.hint
    with pytest.raises(NotFound):
        recipes.source("nope")
