"""Labels by words, by a model and by vote; rows written from seeds; caps, and replies that are not paid twice."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.datasets.steps import run

from penstock.core.errors import Invalid, Upstream
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import cleaning, recipe, service, votes
from penstock.datasets.model import Row
from penstock.datasets.ports import Reply
from penstock.datasets.tally import Means

ROWS: list[Row] = [{"t": f"{'refund' if n % 2 else 'crash'} number {n}"} for n in range(20)]
LABEL = {
    "step": "label",
    "model": "chat",
    "instruction": "Which team?",
    "labels": ["billing", "tech"],
    "columns": ["t"],
}


class Scripted:
    """A model that answers by what it is shown, 1 cent a call."""

    def __init__(self, cost: float | None = 0.01) -> None:
        self.calls = 0
        self.closed = 0
        self._cost = cost
        self._lock = threading.Lock()

    def ask(
        self, model: str, messages: Sequence[Mapping[str, str]], *, temperature: float, max_tokens: int
    ) -> Reply:
        """Return the label, or two rows where JSON is wanted."""
        assert (model, max_tokens) == ("chat", 64)
        with self._lock:
            self.calls += 1
            call = self.calls
        text = messages[1]["content"]
        if "JSON" in messages[0]["content"]:
            return Reply('Sure: [{"t": "a new one"}, {"t": 3}]', self._cost)
        if temperature:
            return Reply("billing" if call % 4 else "tech", self._cost)
        if "number 7" in text:
            return Reply("I cannot say", self._cost)
        return Reply("Billing." if "refund" in text else " tech\n", self._cost)

    def close(self) -> None:
        """Count."""
        self.closed += 1


def means(model: Scripted, folder: Path | None = None) -> Means:
    replies = None if folder is None else (lambda name: folder / f"{name}.jsonl")
    return Means(model=lambda: model, replies=replies)


def test_a_model_labels_rows(tmp_path: Path) -> None:
    model = Scripted()
    kept, reports, _ = run(tmp_path, [LABEL], ROWS, means(model))
    assert [row["label"] for row in kept[:8]] == ["tech", "billing"] * 3 + ["tech", None]
    assert (kept[0]["label_confidence"], kept[7]["label_confidence"]) == (1.0, None)
    assert reports[0].counts == {"tech": 10, "billing": 9, "no_label": 1}
    assert reports[0].figures["calls"] == 20
    assert reports[0].figures["cost_usd"] == pytest.approx(0.2)
    assert model.closed == 1


def test_agreeing_answers_are_confidence(tmp_path: Path) -> None:
    kept, _, _ = run(tmp_path, [{**LABEL, "samples": 4, "temperature": 0.7}], ROWS[:8], means(Scripted()))
    assert np.mean([row["label_confidence"] for row in kept]) == pytest.approx(0.75)
    assert {row["label"] for row in kept} == {"billing"}


def test_caps_stop_the_asking(tmp_path: Path) -> None:
    model = Scripted()
    kept, reports, _ = run(tmp_path, [{**LABEL, "max_calls": 5}], ROWS, means(model))
    assert model.calls == 5
    assert reports[0].counts["not_asked"] == 15
    assert len(kept) == 20
    model = Scripted()
    _, reports, _ = run(tmp_path, [{**LABEL, "max_cost_usd": 0.03}], ROWS, means(model))
    assert 3 <= model.calls <= 3 + 8
    assert reports[0].figures["cost_usd"] == pytest.approx(0.01 * model.calls)


def test_replies_are_kept_and_not_paid_twice(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    first, second = Scripted(), Scripted(None)
    run(tmp_path, [{**LABEL, "max_calls": 13}], ROWS[:12], means(first, folder))
    file = next(folder.iterdir())
    file.write_bytes(file.read_bytes()[:-5])
    _, reports, _ = run(tmp_path, [{**LABEL, "max_calls": 12}], ROWS, means(second, folder))
    assert (first.calls, second.calls) == (12, 9)
    assert reports[0].figures == {"calls": 9, "reused": 11, "unpriced_calls": 9, "cost_usd": 0}


def test_a_failing_model_fails_the_step(tmp_path: Path) -> None:
    class Failing(Scripted):
        def ask(self, *_args: Any, **_options: Any) -> Reply:
            raise Upstream("no answer")

    model = Failing()
    with pytest.raises(Upstream):
        run(tmp_path, [LABEL], ROWS, means(model))
    assert model.closed == 1
    with pytest.raises(Invalid, match="No model can be asked"):
        run(tmp_path, [LABEL], ROWS)


def test_new_rows_stand_behind_and_are_marked(tmp_path: Path) -> None:
    step = {"step": "synthesise", "model": "chat", "instruction": "Write tickets.", "columns": ["t"]}
    kept, reports, _ = run(tmp_path, [{**step, "per_seed": 2, "rows": 5}], ROWS, means(Scripted()))
    assert [row["synthetic"] for row in kept] == [False] * 20 + [True] * 5
    assert kept[-1]["t"] == "a new one"
    assert reports[0].counts == {"written": 5, "wrong_columns": 5}


def test_new_rows_share_their_seeds_split(
    sqlite_home: Home, owner: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.ingest(sqlite_home, owner, name="seeds", source=ROWS, splits={"train": 0.5, "test": 0.5})
    usable = means(Scripted())
    monkeypatch.setattr(service, "means_of", lambda _home, _actor: usable)
    step = {"step": "synthesise", "model": "chat", "instruction": "Write.", "columns": ["t"], "rows": 20}
    version = cleaning.clean(sqlite_home, owner, "seeds", recipe.parse([step]))
    rows = list(service.stored_rows(sqlite_home, owner, version.ref))
    assert [row.split for row in rows[:20]] == [row.split for row in rows[20:]]


def test_words_label_and_draws_do_not(tmp_path: Path) -> None:
    step = {
        "step": "label_words",
        "into": "y",
        "words": {"billing": ["refund", "charged twice"], "tech": ["crash"]},
    }
    rows: list[Row] = [
        {"t": "Refund, refund me"},
        {"t": "crash, refund"},
        {"t": "charged twice!"},
        {"t": "hi"},
    ]
    kept, reports, _ = run(tmp_path, [step], rows)
    assert [row["y"] for row in kept] == ["billing", None, "billing", None]
    assert reports[0].counts == {"billing": 2, "no_label": 2}


# Dawid & Skene 1979, table 1: 45 patients, five observers (the first one three times), grades 1 to 4.
PATIENTS = [
    "1111111",
    "3334343",
    "1122122",
    "2223121",
    "2223222",
    "2223322",
    "1222111",
    "3333433",
    "2222223",
    "2322223",
    "4444444",
    "2223343",
    "1111111",
    "2223212",
    "1211111",
    "1112111",
    "1111111",
    "1111111",
    "2222221",
    "2221322",
    "2222222",
    "2222221",
    "2223222",
    "2212222",
    "1111111",
    "1111111",
    "2322222",
    "1111111",
    "1111111",
    "1121121",
    "1111111",
    "3333233",
    "1111111",
    "2222222",
    "2223232",
    "4334343",
    "2212232",
    "2323233",
    "3333432",
    "1111111",
    "1111111",
    "1212111",
    "2322222",
    "1211111",
    "2222222",
]


def patients() -> votes.Votes:
    observer = [0, 0, 0, 1, 2, 3, 4]
    cells = [
        (n, observer[at], int(grade) - 1) for n, row in enumerate(PATIENTS) for at, grade in enumerate(row)
    ]
    item, labeler, label = (np.array(column, np.int64) for column in zip(*cells, strict=True))
    return votes.Votes(item, labeler, label, 45, 5, 4)


def test_dawid_skene_gives_the_published_shares() -> None:
    verdict = votes.dawid_skene(patients())
    assert verdict.priors.round(2).tolist() == [0.40, 0.42, 0.11, 0.07]
    assert verdict.probabilities.sum(axis=1) == pytest.approx(np.ones(45))


def test_alpha_equals_krippendorffs_example() -> None:
    # Krippendorff 2011, section C: four observers, twelve units, missing data; nominal alpha 0.743.
    table = ["123321412***", "1233224125*3", "*3332342251*", "12332441251*"]
    cells = [
        (unit, observer, int(value) - 1)
        for observer, row in enumerate(table)
        for unit, value in enumerate(row)
        if value != "*"
    ]
    item, labeler, label = (np.array(column, np.int64) for column in zip(*cells, strict=True))
    assert votes.alpha(votes.Votes(item, labeler, label, 12, 4, 5)) == pytest.approx(0.743, abs=5e-4)


def test_a_weak_labeler_is_outvoted(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 2, 400)
    rows: list[Row] = []
    for label in truth:
        row: Row = {}
        for name, accuracy in (("a", 0.9), ("b", 0.85), ("c", 0.55), ("d", 0.55), ("e", 0.55)):
            right = generator.random() < accuracy
            row[name] = "yn"[int(label) if right else 1 - int(label)] if generator.random() < 0.9 else None
        rows.append(row)
    columns = ["a", "b", "c", "d", "e"]
    step = {"step": "vote", "columns": columns, "into": "y"}
    learned, reports, _ = run(tmp_path, [step], rows)
    plain, _, _ = run(tmp_path, [{**step, "method": "majority"}], rows)

    def accuracy(found: list[Row]) -> float:
        return float(np.mean([row["y"] == "yn"[int(label)] for row, label in zip(found, truth, strict=True)]))

    assert accuracy(learned) > accuracy(plain) + 0.03
    labelers = reports[0].figures["labelers"]
    assert labelers["a"]["accuracy"] > labelers["c"]["accuracy"] + 0.2
    assert 0 < reports[0].figures["alpha"] < 0.5


def test_unsure_rows_are_dropped_or_left_empty(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"a": "x", "b": "x"},
        {"a": "x", "b": "y"},
        {"a": None, "b": None},
        {"a": "y", "b": "y"},
    ]
    step = {"step": "vote", "columns": ["a", "b"], "method": "majority", "min_confidence": 0.9}
    kept, _, _ = run(tmp_path, [step], rows)
    assert [row["label"] for row in kept] == ["x", None, None, "y"]
    kept, reports, out = run(tmp_path, [{**step, "below": "drop"}], rows)
    assert [row["label"] for row in kept] == ["x", "y"]
    assert [entry.line for entry in out] == [2, 3]
    assert reports[0].counts["unsure"] == 2
    with pytest.raises(Invalid, match="two or more columns"):
        recipe.parse([{"step": "vote", "columns": ["a"]}])
