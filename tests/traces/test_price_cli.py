import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from penstock.traces.price_cli import app


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "home")


def run(folder: str, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--home", folder])
    assert result.exit_code == 0, result.output
    return result.output


def test_prices_are_set_shown_exported_imported_and_dropped(folder: str, tmp_path: Path) -> None:
    run(folder, "set", "m", "input=3", "output=15", "cached=0.3", "audio_input=30", "batch=0.5")
    run(folder, "set", "n", '{"input": 1, "tiers": [{"above": 10, "input": 2}]}', "--provider", "p")
    shown = json.loads(run(folder, "show", "m", "--json"))
    assert shown["price"]["audio_input"] == 30
    document = tmp_path / "prices.json"
    document.write_text(run(folder, "list", "--json"))
    assert json.loads(run(folder, "import", str(document), "--json")) == {"changed": 0}
    run(folder, "delete", "m")
    assert json.loads(run(folder, "import", str(document), "--json")) == {"changed": 1}
    assert len(json.loads(run(folder, "history", "--json"))) == 3
    assert json.loads(run(folder, "list", "--json"))["prices"][0]["price"]["tiers"] == [
        {"above": 10, "input": 2.0}
    ]


def test_the_book_says_where_a_price_was_seen(folder: str) -> None:
    (listed,) = json.loads(run(folder, "list", "--book", "--search", "gpt-4o-mini", "--json"))
    assert listed["sources"]
    assert listed["as_of"] in run(folder, "show", "gpt-4o-mini")


@pytest.mark.parametrize("price", [["input"], ["input=much"], ["inputs=3"], ['{"input": "x"}'], ["input=-1"]])
def test_what_is_no_price_is_refused(folder: str, price: list[str]) -> None:
    result = CliRunner().invoke(app, ["set", "m", *price, "--home", folder])
    assert result.exit_code == 1
    assert result.stderr.strip()
