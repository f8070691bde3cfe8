"""Whole journeys through the pages, in a real browser, on a real server with an empty home."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.app.stack import Stack
from tests.fakes import trained
from tests.journeys.tickets import BRIEF, ROWS, answering, untidy_file

from penstock.core.auth import service as auth
from penstock.core.home import Home

Browse = Callable[..., str]
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture
def bare(sqlite_home: Home) -> Iterator[Stack]:
    """A server that knows nothing."""
    made = Stack(sqlite_home, 1, {"OMP_NUM_THREADS": "1"})
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def stack(sqlite_home: Home) -> Iterator[Stack]:
    """A server with one route, to a scripted model."""
    with answering(sqlite_home) as made:
        yield made


def signin(stack: Stack) -> str:
    """Return the owner's one-time token."""
    with stack.home.begin() as uow:
        person, _ = auth.ensure_owner(uow)
        return auth.create_sign_in(uow, person)


def test_from_a_file_to_preference_pairs(browse: Browse, stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "Tickets.csv"
    untidy_file(file)
    url = f"http://127.0.0.1:{stack.port}"
    told = {"PENSTOCK_E2E_FILE": str(file), "PENSTOCK_E2E_ROWS": str(ROWS), "PENSTOCK_E2E_BRIEF": BRIEF}
    assert browse("quality_journey", url, signin(stack), seconds=800, **told) == "passed"


def test_from_a_recipe_to_a_release_and_back(browse: Browse, bare: Stack, tmp_path: Path) -> None:
    file = tmp_path / "drinks.csv"
    lines = [f"{word} {number},{word}" for word in ("tea", "milk", "juice") for number in range(8)]
    file.write_text("prompt,completion\n" + "\n".join(lines) + "\n")
    url = f"http://127.0.0.1:{bare.port}"
    told = {"PENSTOCK_E2E_FILE": str(file), "PENSTOCK_E2E_MODEL": str(trained.hf_folder())}
    assert browse("loop_journey", url, signin(bare), seconds=1100, **told) == "passed"
