"""The demo's recipes build, and differ where the story needs it."""

from penstock.pipelines.demo import recipes


def test_the_three_runs() -> None:
    tuned = recipes.fine_tune(base="b@1", dataset="d@1", split="train", seed=3)
    assert (tuned.method, tuned.columns.prompt, tuned.columns.completion) == ("sft", "text", "label")
    assert (tuned.limit, tuned.seed, tuned.split) == (recipes.SFT_ROWS, 3, "train")
    alone = recipes.corrections_alone(base="t@1", dataset="c@1")
    replayed = recipes.with_replay(base="t@1", dataset="c@1", accepted="a@1")
    assert (alone.method, alone.preference.losses, alone.replay.dataset) == ("dpo", ["sigmoid"], "")
    assert (replayed.preference.losses, replayed.replay.dataset) == (["sigmoid", "sft"], "a@1")
    assert alone.learning_rate > replayed.learning_rate
    assert {tuned.name, alone.name, replayed.name} == {recipes.MODEL}
