"""Programs saved by DSPy become prompts, examples included."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.prompts import dspy, template
from penstock.prompts.cli import app

PROGRAM: dict[str, Any] = {
    "generate_answer.predict": {
        "traces": [],
        "train": [],
        "demos": [
            {
                "augmented": True,
                "context": ["Paris is in France."],
                "question": "Where is {{ Paris }}?",
                "reasoning": "The context says so.",
                "answer": "France",
            },
            {"question": "Unlabelled?", "context": []},
        ],
        "signature": {
            "instructions": "Answer with a {short} factoid.",
            "fields": [
                {"prefix": "Context:", "description": "may contain relevant facts"},
                {"prefix": "Question:", "description": "${question}"},
                {"prefix": "Reasoning: Let's think step by step in order to", "description": "${reasoning}"},
                {"prefix": "Answer:", "description": "often between 1 and 5 words"},
            ],
        },
        "lm": {"model": "openai/gpt-4o-mini", "temperature": 0.5, "max_tokens": 300, "cache": True},
    },
    "metadata": {"dependency_versions": {"python": "3.11", "dspy": "2.6.27", "cloudpickle": "3.1"}},
}
SIMPLE: dict[str, Any] = {
    "demos": [{"ticket": "My parcel", "category": "shipping"}],
    "signature": {
        "instructions": "Given the fields `ticket`, produce the fields `category`.",
        "fields": [
            {"prefix": "Ticket:", "description": "${ticket}"},
            {"prefix": "Category:", "description": "${category}"},
        ],
    },
    "lm": None,
}


def test_a_chain_of_thought_keeps_fields_examples_and_settings() -> None:
    (found,) = dspy.read(PROGRAM)
    assert (found.name, found.inputs, found.outputs) == (
        "generate_answer.predict",
        ("context", "question"),
        ("reasoning", "answer"),
    )
    assert found.body.settings == {"temperature": 0.5, "max_tokens": 300}
    messages = template.render(found.body, {"context": "Rome is old.", "question": "How old?"})[1]
    assert [one["role"] for one in messages] == ["system", "user", "assistant", "user"]
    assert messages[0]["content"].startswith(
        "Answer with a {short} factoid.\n\nThe fields:\n- `context`: may"
    )
    assert messages[0]["content"].endswith("[[ ## reasoning ## ]]\n…\n\n[[ ## answer ## ]]\n…")
    assert messages[1]["content"] == (
        '[[ ## context ## ]]\n["Paris is in France."]\n\n[[ ## question ## ]]\nWhere is {{ Paris }}?'
    )
    assert messages[2]["content"] == (
        "[[ ## reasoning ## ]]\nThe context says so.\n\n[[ ## answer ## ]]\nFrance"
    )
    assert messages[3]["content"] == "[[ ## context ## ]]\nRome is old.\n\n[[ ## question ## ]]\nHow old?"


def test_one_field_each_way_needs_no_marks() -> None:
    (found,) = dspy.read(SIMPLE)
    assert (found.name, found.inputs, found.outputs) == ("", ("ticket",), ("category",))
    assert [one["content"] for one in found.body.messages[1:]] == ["My parcel", "shipping", "{{ ticket }}"]


def test_the_form_of_older_versions() -> None:
    old = {
        "signature_instructions": "Sort it.",
        "signature_prefix": "Category:",
        "demos": [],
        "fields": [
            {"name": "ticket", "field_type": "input", "description": "${ticket}", "prefix": "Ticket:"},
            {"name": "category", "field_type": "output", "description": "one word", "prefix": "Category:"},
            {"name": "urgency", "field_type": "output", "description": "", "prefix": "Urgency:"},
        ],
    }
    (found,) = dspy.read({"sorter": old})
    assert (found.inputs, found.outputs) == (("ticket",), ("category", "urgency"))


def test_names_come_from_the_examples_where_the_prefix_hides_them() -> None:
    signature = {
        "instructions": "",
        "fields": [
            {"prefix": "Neo 4 J Schema:", "description": "nodes"},
            {"prefix": "Statement:", "description": "a statement"},
        ],
    }
    demo = {"neo4j_schema": "(a)", "statement": "MATCH"}
    (found,) = dspy.read({"demos": [demo], "signature": signature})
    assert (found.inputs, found.outputs) == (("neo4j_schema",), ("statement",))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ([], "JSON object"),
        ({"metadata": {}}, "no predictor"),
        ({"demos": [], "signature": {"instructions": "x", "fields": []}}, "does not say which fields"),
        ({"demos": [{"answer": "x"}], "signature": {"instructions": "x"}}, "no input fields"),
        ({"demos": [{"a b": 1, "c": 2}], "signature": {}}, "cannot name a variable"),
    ],
)
def test_what_is_no_program_is_refused(program: Any, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        dspy.read(program)


def test_over_http_each_predictor_is_a_prompt(client: TestClient) -> None:
    both = {"first": SIMPLE, "second": {"predict": SIMPLE}}
    made = client.post("/api/v1/prompts/sorter/import", json={"format": "dspy", "program": both})
    assert made.status_code == 201, made.text
    assert [one["ref"] for one in made.json()["items"]] == ["sorter.first@1", "sorter.second.predict@1"]
    assert made.json()["items"][0]["note"] == "From DSPy, first: ticket → category"
    rendered = client.post("/api/v1/prompts/sorter.first/render", json={"variables": {"ticket": "Help"}})
    assert rendered.json()["messages"][-1] == {"role": "user", "content": "Help"}
    wrong = {"format": "dspy", "program": SIMPLE, "outputs": ["nothing"]}
    assert client.post("/api/v1/prompts/sorter/import", json=wrong).status_code == 400


def test_on_the_command_line(sqlite_home: Home, tmp_path: Path) -> None:
    file = tmp_path / "program.json"
    file.write_text(json.dumps(PROGRAM))
    where = ["--home", str(sqlite_home.path)]
    runner = CliRunner()
    done = runner.invoke(app, ["import-dspy", "facts", str(file), "--output", "answer", *where])
    assert done.exit_code == 0, done.output
    assert "Added facts@1" in done.output and "reasoning → answer" in done.output
    assert runner.invoke(app, ["import-dspy", "facts", str(tmp_path), *where]).exit_code == 1
