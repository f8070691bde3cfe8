from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.datasets import curate, recipe
from penstock.datasets.model import LeftOut, Row, StepReport


def run(
    tmp_path: Path, steps: list[dict[str, Any]], rows: list[Row]
) -> tuple[list[Row], list[StepReport], list[LeftOut]]:
    out: list[LeftOut] = []
    numbered = iter(enumerate(rows, start=1))
    found, tallies = curate.start(recipe.parse(steps), numbered, folder=tmp_path, left_out=out.append)
    return [row for _, row in found], [tally.report() for tally in tallies], out


def test_normalise(tmp_path: Path) -> None:
    rows = [
        {"text": " e\u0301\r\nx\x00\ufeff ", "n": 1, "nested": {"a": ["  y\u200b"]}},
        {"text": "fine", "n": 2},
    ]
    kept, reports, _ = run(tmp_path, [{"step": "normalise"}], rows)
    assert kept[0] == {"text": "é\nx", "n": 1, "nested": {"a": ["y"]}}
    assert reports[0].changed == 1
    assert reports[0].rows_out == 2


def test_normalise_collapse_and_keep(tmp_path: Path) -> None:
    rows = [{"a": " x \n\n y ", "b": " x "}]
    kept, _, _ = run(tmp_path, [{"step": "normalise", "whitespace": "collapse", "columns": ["a"]}], rows)
    assert kept == [{"a": "x y", "b": " x "}]
    kept, _, _ = run(tmp_path, [{"step": "normalise", "whitespace": "keep"}], rows)
    assert kept == rows


def test_language_keeps_what_it_cannot_tell(tmp_path: Path) -> None:
    rows = [{"t": "the printer is out of paper"}, {"t": "Reset"}, {"t": "der Drucker ist kaputt"}]
    kept, reports, out = run(tmp_path, [{"step": "language", "columns": ["t"]}], rows)
    assert [row["t"] for row in kept] == ["the printer is out of paper", "Reset"]
    assert reports[0].counts == {"de": 1}
    assert (out[0].line, out[0].step, out[0].reason) == (3, "language", "de")
    kept, _, _ = run(tmp_path, [{"step": "language", "keep": ["de"], "keep_undetermined": False}], rows)
    assert len(kept) == 1


def test_exact_duplicates_keep_the_first(tmp_path: Path) -> None:
    rows = [{"t": "a", "id": 1}, {"t": "A", "id": 2}, {"t": "a", "id": 3}, {"t": None, "id": 4}, {"id": 5}]
    kept, _, out = run(tmp_path, [{"step": "exact_duplicates", "columns": ["t"]}], rows)
    assert [row["id"] for row in kept] == [1, 2, 4]
    assert [(entry.line, entry.kept_line) for entry in out] == [(3, 1), (5, 4)]
    kept, _, _ = run(tmp_path, [{"step": "exact_duplicates", "columns": ["t"], "ignore_case": True}], rows)
    assert [row["id"] for row in kept] == [1, 4]
    kept, _, _ = run(tmp_path, [{"step": "exact_duplicates"}], rows)
    assert len(kept) == 5


def test_near_duplicates_report_pairs(tmp_path: Path) -> None:
    text = "my order arrived broken and I would like to have my money back as soon as possible please"
    rows = [{"t": text}, {"t": "something else"}, {"t": text + " thanks"}]
    kept, reports, out = run(tmp_path, [{"step": "near_duplicates", "columns": ["t"]}], rows)
    assert len(kept) == 2
    assert (out[0].line, out[0].kept_line) == (3, 1)
    assert out[0].similarity is not None
    assert 0.8 <= out[0].similarity < 1
    assert reports[0].counts == {"near_duplicate": 1}
    assert list(tmp_path.iterdir()) == []


def test_redact_counts_and_never_shows_what_it_found(tmp_path: Path) -> None:
    rows = [{"t": "mail a@example.org", "m": [{"content": "call +49 30 1234567"}], "n": 4111111111111111}]
    kept, reports, _ = run(tmp_path, [{"step": "normalise"}, {"step": "redact"}], rows)
    assert kept == [{"t": "mail [EMAIL]", "m": [{"content": "call [PHONE]"}], "n": 4111111111111111}]
    assert reports[1].counts == {"email": 1, "phone": 1}
    assert reports[1].changed == 1
    assert "example.org" not in repr(reports)
    kept, _, _ = run(tmp_path, [{"step": "redact", "kinds": ["email"], "columns": ["t"]}], rows)
    assert kept[0]["m"] == rows[0]["m"]


def test_examples_of_dropped_rows_are_masked_too(tmp_path: Path) -> None:
    _, reports, _ = run(tmp_path, [{"step": "quality", "min_words": 9}], [{"t": "mail a@example.org"}])
    assert reports[0].examples[0]["text"] == "mail [EMAIL]"


def test_columns_and_labels(tmp_path: Path) -> None:
    steps = [
        {"step": "rename", "names": {"Text": "text"}},
        {
            "step": "map_labels",
            "column": "label",
            "labels": {"Bug": "technical", "ok": "ok"},
            "unknown": "drop",
        },
        {"step": "select", "columns": ["text", "label"]},
        {"step": "drop", "columns": ["label"]},
    ]
    rows = [{"Text": "a", "label": "Bug", "x": 1}, {"Text": "b", "label": "?"}, {"Text": "c", "label": "ok"}]
    kept, reports, out = run(tmp_path, steps, rows)
    assert kept == [{"text": "a"}, {"text": "c"}]
    assert reports[1].counts["Bug → technical"] == 1
    assert reports[1].changed == 1
    assert [entry.reason for entry in out] == ["unknown_label"]


def test_an_unknown_label_can_fail(tmp_path: Path) -> None:
    step = {"step": "map_labels", "column": "label", "labels": {}, "unknown": "fail"}
    with pytest.raises(Invalid, match="Line 1: map_labels has no entry for 'x'"):
        run(tmp_path, [step], [{"label": "x"}])


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("nonsense", "list of steps"),
        ([{"step": "langauge"}], "Step 1 .*langauge.*Did you mean 'language'"),
        ([{"step": "redact", "kind": ["email"]}], "unknown field"),
        ([{"step": "redact", "kinds": ["emial"]}], "Did you mean 'email'"),
        ([{"step": "language", "keep": ["xx"]}], "Unknown language"),
        ([{"step": "near_duplicates", "threshold": 2}], "threshold from 0.1 to 1"),
        ([{"step": "select"}], "columns"),
    ],
)
def test_a_wrong_recipe_says_what_is_wrong(steps: Any, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        recipe.parse(steps)


def test_a_recipe_comes_back_from_its_plain_form_and_from_yaml(tmp_path: Path) -> None:
    steps = [{"step": "normalise"}, {"step": "near_duplicates", "columns": ["t"], "threshold": 0.7}]
    parsed = recipe.parse(steps)
    assert recipe.parse(parsed.plain()) == parsed
    (tmp_path / "r.yaml").write_text(
        "steps:\n- step: normalise\n- {step: near_duplicates, columns: [t], threshold: 0.7}\n"
    )
    assert recipe.load(tmp_path / "r.yaml") == parsed
    assert recipe.load(tmp_path / "r.yaml").digest == parsed.digest
    (tmp_path / "bad.yaml").write_text("steps: [")
    with pytest.raises(Invalid, match=r"bad\.yaml cannot be read"):
        recipe.load(tmp_path / "bad.yaml")


def test_check_follows_columns_through_the_steps() -> None:
    parsed = recipe.parse([{"step": "rename", "names": {"a": "b"}}, {"step": "redact", "columns": ["a"]}])
    with pytest.raises(Invalid, match=r"Step 2 \(redact\) reads the column 'a'"):
        parsed.check(["a", "c"])
    with pytest.raises(Invalid, match="two columns named 'c'"):
        recipe.parse([{"step": "rename", "names": {"a": "c"}}]).check(["a", "c"])
    assert recipe.parse([{"step": "drop", "columns": ["a"]}]).check(["a", "c"]) == ["c"]
