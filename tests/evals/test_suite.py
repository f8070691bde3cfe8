"""Suites as people write them."""

from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.evals.suite import ScorerSpec, parse_suite, to_spec

GOOD = {"name": "s", "dataset": "d@1", "target": {"kind": "gateway", "model": "m"}}


def test_the_three_ways_to_write_a_scorer() -> None:
    suite = parse_suite(
        {**GOOD, "scorers": ["exact", {"name": "fields", "keys": ["a"]}, {"bleu": {"lowercase": True}}]}
    )
    assert suite.scorers == (
        ScorerSpec(name="exact"),
        ScorerSpec(name="fields", options={"keys": ["a"]}),
        ScorerSpec(name="bleu", options={"lowercase": True}),
    )


def test_the_record_can_be_read_back_and_holds_no_secret() -> None:
    suite = parse_suite({**GOOD, "split": "test", "columns": {"id": "n"}, "limit": 5, "system": "hi"})
    assert parse_suite(to_spec(suite)) == suite
    secret = parse_suite({**GOOD, "target": {**GOOD["target"], "api_key": "psk_secret"}})  # type: ignore[dict-item]
    assert "psk_secret" not in str(to_spec(secret))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datset": "x"}, "Unknown key 'datset'"),
        ({"columns": {"in": "x"}}, "Unknown key 'in'"),
        ({"columns": "x"}, "mapping"),
        ({"scorers": "exact"}, "list"),
        ({"scorers": []}, "at least one scorer"),
        ({"scorers": ["exact", "exact"]}, "only once"),
        ({"scorers": [3]}, "not a scorer"),
        ({"target": {"model": "m"}}, "kind"),
        ({"target": "gateway"}, "target"),
        ({"limit": 0}, "at least 1"),
        ({"max_error_rate": 2}, "between 0 and 1"),
        ({"limit": "many"}, "wrong type"),
        ({"name": ""}, "name"),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_suite({**GOOD, **change})


def test_what_is_missing_is_named() -> None:
    with pytest.raises(Invalid, match="no dataset"):
        parse_suite({"name": "s", "target": GOOD["target"]})
    with pytest.raises(Invalid, match="mapping"):
        parse_suite(["a"])
