"""Rows: one shape for all, bad ones named by number, replay pairs that differ."""

import pytest

from penstock.core.errors import Invalid
from penstock.training import rows
from penstock.training.recipe import Columns

USER = {"role": "user", "content": "hi"}
BOT = {"role": "assistant", "content": "hello"}


def test_text_and_conversations_become_the_same_shape() -> None:
    wanted = {"messages": [USER], "completion": "hello"}
    for row in (
        {"prompt": "hi", "completion": "hello"},
        {"prompt": [USER], "completion": [BOT]},
        {"messages": [USER, BOT]},
    ):
        assert rows.check([row], method="sft", columns=Columns()) == [wanted]
    named = Columns(prompt="text", completion="label")
    assert rows.check([{"text": "hi", "label": "hello"}], method="sft", columns=named) == [wanted]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "hi"}, "there is no column 'completion'; there is prompt"),
        ({"prompt": "hi", "completion": "  "}, "column 'completion' is empty"),
        ({"prompt": "hi", "completion": 3}, "column 'completion' must be text (it is int)"),
        ({"prompt": "", "completion": "x"}, "column 'prompt' is empty"),
        ({"prompt": 4, "completion": "x"}, "text or a list of messages"),
        ({"prompt": [{"role": "boss", "content": "x"}], "completion": "x"}, "role is not one of"),
        ({"prompt": [{"role": "user", "content": None}], "completion": "x"}, "a message without text"),
        ({"prompt": "x", "completion": [USER]}, "one assistant message"),
        ({"messages": [USER]}, "must end with an assistant message"),
    ],
)
def test_bad_sft_rows_are_named_by_number(row: dict[str, object], reason: str) -> None:
    good = {"prompt": "a", "completion": "b"}
    with pytest.raises(Invalid) as caught:
        rows.check([good, row], method="sft", columns=Columns())
    assert "1 of 2 rows" in caught.value.message
    assert "row 2: " in caught.value.message
    assert reason in caught.value.message


def test_many_bad_rows_are_counted() -> None:
    with pytest.raises(
        Invalid, match=r"14 of 14 rows.*: rows 1, 2, 3, 4, 5 and 8 more: .*; row 14: "
    ) as raised:
        rows.check([*[{"text": "x"}] * 13, {"prompt": ""}], method="dpo", columns=Columns())
    assert "there is no column 'prompt'; there is text" in str(raised.value)


def test_pairs_need_two_different_answers() -> None:
    pair = {"prompt": "p", "chosen": "a", "rejected": "b"}
    assert rows.check([pair], method="dpo", columns=Columns()) == [
        {"messages": [{"role": "user", "content": "p"}], "chosen": "a", "rejected": "b"}
    ]
    with pytest.raises(Invalid, match="chosen and rejected are the same"):
        rows.check([{**pair, "rejected": "a"}], method="dpo", columns=Columns())


def test_no_rows_are_refused() -> None:
    with pytest.raises(Invalid, match="no rows"):
        rows.check([], method="sft", columns=Columns())


def test_sampling_keeps_order_and_follows_the_seed() -> None:
    given = [{"n": n} for n in range(50)]
    assert rows.sample(given, 0, 1) == given
    first = rows.sample(given, 10, 1)
    assert first == rows.sample(given, 10, 1) != rows.sample(given, 10, 2)
    assert [row["n"] for row in first] == sorted(row["n"] for row in first)


def _accepted(*answers: str) -> list[rows.Row]:
    return [{"messages": [USER], "completion": answer} for answer in answers]


def test_replay_changes_exactly_one_field_to_a_value_seen_elsewhere() -> None:
    accepted = _accepted(*(f"category: c{i % 3}\npriority: p{i % 2}" for i in range(12)))
    pairs = rows.replay_pairs(accepted, copies=2, seed=3)
    assert len(pairs) == 24
    for pair in pairs:
        before, after = pair["chosen"].splitlines(), pair["rejected"].splitlines()
        ((old, new),) = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
        assert old.partition(":")[0] == new.partition(":")[0]
        assert new in {line for row in accepted for line in row["completion"].splitlines()}
    assert pairs == rows.replay_pairs(accepted, copies=2, seed=3)


def test_replay_of_free_text_takes_another_answer() -> None:
    pairs = rows.replay_pairs(_accepted("one two", "three", "four"), seed=0)
    assert len(pairs) == 3
    assert all(pair["rejected"] in {"one two", "three", "four"} - {pair["chosen"]} for pair in pairs)


def test_replay_skips_what_cannot_differ() -> None:
    assert rows.replay_pairs(_accepted("a: 1", "a: 1")) == []


@pytest.mark.parametrize(
    ("label", "good"),
    [
        (True, True),
        (1, True),
        ("up", True),
        (" Good ", True),
        (1.0, True),
        (False, False),
        (-1, False),
        ("0", False),
    ],
)
def test_thumbs_have_many_spellings(label: object, good: bool) -> None:
    row = {"prompt": "p", "completion": "c", "label": label}
    assert rows.check([row], method="kto", columns=Columns()) == [
        {"messages": [{"role": "user", "content": "p"}], "completion": "c", "good": good}
    ]


@pytest.mark.parametrize("label", ["maybe", 0.5, None, 2])
def test_a_verdict_that_is_none_is_a_problem(label: object) -> None:
    row = {"prompt": "p", "completion": "c", "label": label}
    with pytest.raises(Invalid, match="neither good nor bad"):
        rows.check([row], method="kto", columns=Columns())
    with pytest.raises(Invalid, match="it is missing"):
        rows.check([{"prompt": "p", "completion": "c"}], method="kto", columns=Columns())


def test_judgements_must_differ() -> None:
    good = [{"messages": [USER], "completion": "a", "good": True}]
    with pytest.raises(Invalid, match="judged the same"):
        rows.check_verdicts(good)
    rows.check_verdicts([*good, {**good[0], "good": False}])
    assert rows.replay_good([{"messages": [USER], "completion": "a"}]) == good


def test_prompts_keep_the_row_and_its_right_answer() -> None:
    row = {"prompt": "hi", "completion": "hello", "more": 1}
    assert rows.check([row], method="grpo", columns=Columns()) == [
        {"messages": [USER], "references": ["hello"], "row": row}
    ]
    assert rows.check([{"messages": [USER, BOT]}], method="rloo", columns=Columns())[0]["references"] == [
        "hello"
    ]
    assert rows.check([{"messages": [USER]}], method="rloo", columns=Columns())[0]["references"] == []


@pytest.mark.parametrize("row", [{"messages": [BOT]}, {"prompt": [USER, BOT]}])
def test_a_prompt_must_ask(row: dict[str, object]) -> None:
    with pytest.raises(Invalid, match="1 of 1 rows"):
        rows.check([row], method="grpo", columns=Columns())


def test_running_text_is_one_column() -> None:
    assert rows.check([{"body": "x"}], method="pretrain", columns=Columns(text="body")) == [{"text": "x"}]
    with pytest.raises(Invalid, match="no column 'text'"):
        rows.check([{"body": "x"}], method="pretrain", columns=Columns())


def test_every_problem_is_told_with_its_row() -> None:
    good, problems = rows.read(
        [{}, {"prompt": "a", "completion": "b"}, {"prompt": "a"}], method="sft", columns=Columns()
    )
    assert len(good) == 1
    assert [problem.row for problem in problems] == [1, 3]


def test_rows_pass_one_by_one_and_the_bad_are_told_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_KEPT", 2)
    given = [{"prompt": "a", "completion": "b"}, {}, {"prompt": "c", "completion": "d"}, {}, {}]
    seen: list[str] = []
    with pytest.raises(Invalid, match=r"3 of 5 rows cannot be trained on: rows 2, 4: there is no column"):
        for row in rows.passing(given, method="sft", columns=Columns()):
            seen.append(row["completion"])
    assert seen == ["b", "d"]
    assert [row["completion"] for row in rows.passing(given[:1], method="sft", columns=Columns())] == ["b"]
    with pytest.raises(Invalid, match="no rows"):
        list(rows.passing([], method="sft", columns=Columns()))
