"""Rule 12: every code block of the docs runs, or says why not."""

from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.code import ROOT
from tests.docs.pages import Reader, blocks, environment, serving, wishes

PAGES = sorted([ROOT / "README.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").rglob("*.md")])


def _cases() -> list[Any]:
    runnable = [
        page for page in PAGES if any(block.runs for block in blocks(page)) and "journey" not in wishes(page)
    ]
    return [
        pytest.param(page, id=page.name, marks=[pytest.mark.heavy] if "heavy" in wishes(page) else [])
        for page in runnable
    ]


@pytest.mark.parametrize("page", _cases())
def test_the_page_works_for_its_reader(page: Path, tmp_path: Path) -> None:
    env = environment(tmp_path)
    server = serving(tmp_path, env) if "server" in wishes(page) else nullcontext(env)
    with server as ready, closing(Reader(tmp_path, ready)) as reader:
        for block in blocks(page):
            reader.check(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_runs_or_says_why_not(page: Path) -> None:
    undecided = [f"{page.name}:{block.line}" for block in blocks(page) if not block.is_decided]
    assert not undecided, 'mark these `run`, `file=NAME` or `skip="reason"`: ' + ", ".join(undecided)


def test_a_failing_block_fails_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python run\nx = 1\n```\n```python run\nassert x == 2, 'no'\n```\n")
    with closing(Reader(tmp_path, environment(tmp_path))) as reader:
        first, second = blocks(page)
        reader.check(first)
        with pytest.raises(AssertionError, match="line 4 failed"):
            reader.check(second)


def test_missing_output_fails_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh run\necho one\n```\n```text output\ntwo\n```\n")
    reader = Reader(tmp_path, environment(tmp_path))
    reader.check(blocks(page)[0])
    with pytest.raises(AssertionError, match="'two' is not in"):
        reader.check(blocks(page)[1])
