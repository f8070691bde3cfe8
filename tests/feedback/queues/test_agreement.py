"""Agreement of annotators against published tables."""

import msgspec
import pytest

from penstock.feedback.queues.agreement import agreements
from penstock.feedback.queues.model import Agreement, Label, Values

NOMINAL = msgspec.convert({"name": "x", "type": "categorical", "options": list("abcde")}, Label)
NUMBER = msgspec.convert({"name": "x", "type": "number"}, Label)
TEXT = msgspec.convert({"name": "x", "type": "text"}, Label)


def given(*people: str) -> list[tuple[str, str, Values]]:
    """Return answers: one text per person, a letter per item, `.` where there is none."""
    return [
        (f"item{n:02}", f"person{who}", {"x": letter})
        for who, letters in enumerate(people)
        for n, letter in enumerate(letters)
        if letter != "."
    ]


def by_kind(found: list[Agreement]) -> dict[str, Agreement]:
    return {one.kind: one for one in found}


def test_cohens_kappa_of_a_known_table() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, by chance 0.5.
    one, two = "a" * 25 + "b" * 25, "a" * 20 + "b" * 5 + "a" * 10 + "b" * 15
    found = by_kind(agreements([NOMINAL], given(one, two)))
    assert set(found) == {"same", "cohen", "alpha"}
    assert found["cohen"].value == pytest.approx(0.4)
    assert found["same"].value == 0.7
    assert found["cohen"].low < 0.4 < found["cohen"].high


def test_krippendorffs_example_with_missing_answers() -> None:
    # Krippendorff (2011), example C: four observers, twelve units, alpha nominal 0.743, interval 0.849.
    data = {
        "A": [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        "B": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        "C": [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        "D": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    }
    answers = [
        (f"unit{n:02}", who, {"x": value})
        for who, values in data.items()
        for n, value in enumerate(values)
        if value is not None
    ]
    nominal = [(unit, who, {"x": "abcde"[values["x"] - 1]}) for unit, who, values in answers]
    found = by_kind(agreements([NOMINAL], nominal))
    assert found["alpha"].value == pytest.approx(0.743, abs=0.0005)
    assert "fleiss" not in found, "not every unit has as many answers"
    numbers = by_kind(agreements([NUMBER], [(u, w, {"x": float(v["x"])}) for u, w, v in answers]))
    assert set(numbers) == {"same", "alpha"}
    assert numbers["alpha"].value == pytest.approx(0.849, abs=0.0005)
    assert numbers["alpha"].n == 11, "one unit has a single answer"


def test_fleiss_kappa_of_the_published_example() -> None:
    # Fleiss (1971) as tabulated with 10 subjects, 14 raters and 5 categories: kappa 0.210.
    table = [
        (0, 0, 0, 0, 14),
        (0, 2, 6, 4, 2),
        (0, 0, 3, 5, 6),
        (0, 3, 9, 2, 0),
        (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0),
        (3, 2, 6, 3, 0),
        (2, 5, 3, 2, 2),
        (6, 5, 2, 1, 0),
        (0, 2, 2, 3, 7),
    ]
    letters = ["".join(letter * n for letter, n in zip("abcde", row, strict=True)) for row in table]
    answers = [
        (f"item{n}", f"rater{who:02}", {"x": letter})
        for n, row in enumerate(letters)
        for who, letter in enumerate(row)
    ]
    found = by_kind(agreements([NOMINAL], answers))
    assert found["fleiss"].value == pytest.approx(0.210, abs=0.0005)
    assert found["fleiss"].n == 10


def test_what_cannot_be_computed_is_left_out() -> None:
    assert agreements([NOMINAL], given("ab")) == [], "one person"
    assert agreements([TEXT], given("ab", "ab")) == [], "texts"
    assert agreements([NOMINAL], given("a.", ".b")) == [], "nothing answered twice"
    assert set(by_kind(agreements([NOMINAL], given("aaa", "aaa")))) == {"same"}, "one value only"
    (same, kappa, alpha) = agreements([NOMINAL], given("ab", "ab"))
    assert (same.value, kappa.value, alpha.value) == (1.0, 1.0, 1.0)
