"""Gopher's and C4's rules, and lines that stand in many rows."""

from pathlib import Path

import pytest
from tests.datasets.steps import run

from penstock.datasets import web_rules
from penstock.datasets.model import Row

PROSE = (
    "The committee met on Tuesday to discuss the new library. Members agreed that the old building could not be "
    "repaired at a reasonable price. They will ask three architects for plans, and the town will vote on them in "
    "spring. Until then books remain in the school with shorter opening hours for visitors."
)


def gopher(text: str, **options: int) -> str | None:
    bounds = {"min_words": 5, "max_words": 1000, "stop_words": 2, **options}
    return web_rules.gopher_complaint(text, **bounds)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PROSE, None),
        ("too short here", "too_few_words"),
        ("the of " * 600, "too_many_words"),
        ("a b c d e f g", "mean_word_length"),
        (PROSE + " #" * 9, "symbols_to_words"),
        ("the of " + "1234 5678 " * 5, "words_without_letters"),
        ("\n".join(f"- item with the number of {n}th thing" for n in range(5)), "bullet_lines"),
        (
            "\n".join(f"read much more of the many things with the number {n}..." for n in range(20)),
            "ellipsis_lines",
        ),
        ("Berlin liegt an einem kleinen Fluss und nicht weit vom Meer", "too_few_stop_words"),
    ],
)
def test_gopher_quality(text: str, reason: str | None) -> None:
    assert gopher(text) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PROSE, None),
        ("same line here\n" * 5 + PROSE, "duplicate_lines"),
        ("buy now " * 30, "top_2_gram"),
        (PROSE + " " + PROSE, "duplicate_5_grams"),
        (f"{PROSE}\n{PROSE}\n" + "\n".join(f"line {n}" for n in range(20)), "duplicate_lines_characters"),
    ],
)
def test_gopher_repetition(text: str, reason: str | None) -> None:
    assert web_rules.repetition_complaint(text) == reason


def test_the_gopher_step_counts_reasons(tmp_path: Path) -> None:
    rows: list[Row] = [{"t": PROSE}, {"t": "buy now"}, {"t": "the best and buy now " * 20}]
    kept, reports, out = run(tmp_path, [{"step": "gopher", "min_words": 10}], rows)
    assert kept == rows[:1]
    assert reports[0].counts == {"too_few_words": 1, "top_2_gram": 1}
    assert [entry.line for entry in out] == [2, 3]


C4_PAGE = """Home | About
This line is a whole sentence here.
Please enable Javascript to see this page.
It is really a good page.
All of it is worth reading.
See our privacy policy for all details.
And so much more to come...
"""


def test_c4_removes_lines_and_pages(tmp_path: Path) -> None:
    texts = [C4_PAGE, f"{C4_PAGE}function() {{ return the value }}", "Lorem ipsum dolor sit amet now."]
    kept, reports, out = run(
        tmp_path, [{"step": "c4"}], [{"t": text} for text in (*texts, "Only one sentence.")]
    )
    assert [row["t"].splitlines() for row in kept] == [
        ["This line is a whole sentence here.", "It is really a good page.", "All of it is worth reading."]
    ]
    assert [entry.reason for entry in out] == ["curly_bracket", "lorem_ipsum", "too_few_sentences"]
    assert reports[0].counts["javascript_line"] == 2
    assert reports[0].counts["policy_line"] == 2


def test_boilerplate_goes_where_it_is_common_and_nowhere_else(tmp_path: Path) -> None:
    footer = "Unsubscribe at any time"
    rows: list[Row] = [{"t": f"Mail number {n}, all of its own\n{footer}"} for n in range(20)]
    rows += [{"t": footer}, {"t": "short\nshort"}]
    kept, reports, out = run(tmp_path, [{"step": "boilerplate", "min_rows": 10}], rows)
    assert len(kept) == 21
    assert all(footer not in row["t"] for row in kept)
    assert kept[-1] == {"t": "short\nshort"}
    assert reports[0].counts == {"lines": 21, "only_boilerplate": 1}
    assert out[0].line == 21
    kept, _, _ = run(tmp_path, [{"step": "boilerplate", "min_rows": 10, "min_share": 0.99}], rows)
    assert kept == rows
    assert list(tmp_path.iterdir()) == []
