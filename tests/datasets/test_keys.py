from pathlib import Path

import pytest

from penstock.datasets import keys
from penstock.datasets.keys import KeyFile


@pytest.mark.parametrize("held", [1 << 16, 100])
def test_repeats_are_found_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(keys, "_HELD", held)
    values = [n % 700 if n % 3 else n for n in range(3000)]
    with KeyFile(tmp_path, "row") as file:
        for position, value in enumerate(values):
            file.add(position, str(value).encode())
        found = list(file.repeats())
    first: dict[int, int] = {}
    copies: dict[int, int] = {}
    expected = []
    for position, value in enumerate(values):
        copies[value] = copies.get(value, 0) + 1
        if copies[value] > 1:
            expected.append((position, first[value], copies[value]))
        first.setdefault(value, position)
    assert found == expected
    assert expected
    assert list(tmp_path.iterdir()) == []


def test_nothing_repeats_in_nothing(tmp_path: Path) -> None:
    with KeyFile(tmp_path, "row") as file:
        assert list(file.repeats()) == []
