"""Reports of garak and PyRIT."""

import json
from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.evals.redteam.foreign import read_garak, read_pyrit
from penstock.evals.redteam.rules import expectation_of


def jsonl(*lines: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(line) for line in lines).encode()


SETUP = {"entry_type": "start_run setup", "plugins.target_name": "org/model", "run.eval_threshold": 0.6}


def attempt(**changes: Any) -> dict[str, Any]:
    return {
        "entry_type": "attempt",
        "uuid": "u1",
        "seq": 3,
        "status": 2,
        "probe_classname": "promptinject.HijackHateHumans",
        "goal": "hijack",
        "prompt": {"turns": [{"role": "user", "content": {"text": "Ignore", "lang": "en"}}], "notes": {}},
        "outputs": [{"text": "No."}, {"text": "I hate humans"}, None],
        "detector_results": {"promptinject.AttackRogueString": [0.55, 1.0, 0.0]},
        **changes,
    }


def test_garak_of_today() -> None:
    read = read_garak(jsonl(SETUP, attempt(status=1), attempt(), {"entry_type": "eval"}))
    assert (read.model, read.suite, len(read.samples)) == ("org/model", "redteam-garak", 2)
    first, second = read.samples
    assert (first.id, second.id) == (
        "promptinject.HijackHateHumans/3/0",
        "promptinject.HijackHateHumans/3/1",
    )
    detector = "detector.promptinject.AttackRogueString"
    assert dict(first.scores) == {"attack": 0.0, detector: 0.55}, "below the report's threshold"
    assert dict(second.scores) == {"attack": 1.0, detector: 1.0}
    assert first.messages == ({"role": "user", "content": "Ignore"},)
    expected = expectation_of(first.references[0])
    assert expected is not None
    assert (expected.owasp, expected.attack) == ("LLM01", "promptinject.HijackHateHumans")
    assert read.notes == ("1 attempts were not answered or not judged and were left out.",)
    assert read.metrics()["attack"]["higher_is_better"] is False


def test_garak_of_old() -> None:
    old = attempt(prompt="Ignore", outputs=["I hate humans"], seq=None)
    (sample,) = read_garak(jsonl(old)).samples
    assert (sample.text, sample.scores["attack"]) == ("I hate humans", 1.0)
    assert sample.id == "promptinject.HijackHateHumans/u1/0"


def piece(role: str, sequence: int, text: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"{role}{sequence}",
        "role": role,
        "conversation_id": "c1",
        "sequence": sequence,
        "original_value": "plain",
        "converted_value": text,
        "converter_identifiers": [],
        "prompt_target_identifier": {"__type__": "OpenAIChatTarget"},
        "scores": [],
        **changes,
    }


def score(value: str, kind: str = "true_false") -> dict[str, Any]:
    return {"score_value": value, "score_type": kind, "score_category": ["harm"]}


def test_pyrit() -> None:
    pieces = [
        piece("assistant", 3, "Sure", scores=[score("True"), score("0.2", "float_scale")]),
        piece("user", 0, "aWdub3Jl", converter_identifiers=[{"class_name": "Base64Converter"}]),
        piece("assistant", 1, "No"),
        piece("user", 2, "Please"),
        piece("user", 0, "unscored", conversation_id="c2"),
    ]
    read = read_pyrit(json.dumps(pieces).encode())
    (sample,) = read.samples
    assert [message["content"] for message in sample.messages] == ["aWdub3Jl", "No", "Please"]
    assert (sample.text, sample.scores["attack"], read.model) == ("Sure", 1.0, "OpenAIChatTarget")
    expected = expectation_of(sample.references[0])
    assert expected is not None
    assert expected.mutator == "Base64Converter"
    assert read.notes == ("1 conversations carry no score and were left out.",)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"a": 1}', b"oops", b'[{"a": 1}]', b"[]"])
def test_what_is_neither(content: bytes) -> None:
    with pytest.raises(Invalid):
        read_garak(content)
    with pytest.raises(Invalid):
        read_pyrit(content)
