"""The look before a run: every problem with its row, examples with their loss mask."""

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from penstock.app.server import Penstock
from penstock.core.errors import Cancelled, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.training import cli, preview, service
from penstock.training import recipe as recipes
from penstock.training.trainers import rendering
from tests.training.stage import furnish, recipe
from tests.training.test_rendering import Letters

MIXED = [
    {"text": "a", "label": "b"},
    {"text": "c"},
    {"text": "d", "label": "e" * 600},
    {"text": "f", "label": "g"},
]


class Renderer:
    """Stands in for the child: letters are tokens."""

    def __init__(self) -> None:
        self.folders: list[Path] = []

    def __call__(self, name: str, spec: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Take the place of `service.run_trainer`."""
        assert name == "preview"
        self.folders.append(Path(spec["workdir"]))
        examples: list[dict[str, Any]] = []
        problems: list[dict[str, Any]] = []
        for number, line in enumerate(Path(spec["train_file"]).read_text().splitlines(), start=1):
            views = rendering.views(Letters(), json.loads(line), spec)
            if any(len(tokens) > spec["max_length"] for _, (tokens, _) in views):
                problems.append({"row": number, "message": "too long"})
            elif len(examples) < spec["shown"]:
                examples += [{"row": number, **rendering.shown(Letters(), *view)} for view in views]
        return {"examples": examples, "problems": problems}


@pytest.fixture
def renderer(home: Home, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Renderer:
    furnish(home, actor, tmp_path)
    datasets.ingest(home, actor, name="mixed", source=MIXED)
    made = Renderer()
    monkeypatch.setattr(service, "run_trainer", made)
    return made


def test_rows_keep_their_numbers(home: Home, actor: Actor, renderer: Renderer) -> None:
    found = preview.preview(home, actor, recipe(dataset="mixed"))
    assert (found.rows, found.problem_count) == (4, 2)
    assert [problem.row for problem in found.problems] == [2, 3]
    assert "'label' must be text" in found.problems[0].message
    assert [example.row for example in found.examples] == [1, 4]
    assert [(part.text, part.trained) for part in found.examples[0].segments] == [
        ("u:a;a:", False),
        ("b;", True),
    ]
    assert not renderer.folders[0].exists()


def test_nothing_is_rendered_when_no_row_is_good(home: Home, actor: Actor, renderer: Renderer) -> None:
    found = preview.preview(home, actor, recipe(columns={"prompt": "nope"}))
    assert (found.rows, found.problem_count, found.examples, renderer.folders) == (12, 12, [], [])


def test_rewards_are_tried_on_every_row(home: Home, actor: Actor, renderer: Renderer) -> None:
    datasets.ingest(
        home, actor, name="asked", source=[{"text": "a", "label": "b"}, {"text": "c", "label": None}]
    )
    changes = {"method": "grpo", "dataset": "asked", "rewards": [{"scorer": "exact"}]}
    found = preview.preview(home, actor, recipe(**changes))
    assert [(problem.row, "gives no 'exact'" in problem.message) for problem in found.problems] == [(2, True)]


def test_a_recipe_that_cannot_work_is_refused(home: Home, actor: Actor, renderer: Renderer) -> None:
    with pytest.raises(NotFound):
        preview.preview(home, actor, recipe(dataset="nope"))
    for changes, message in (
        ({"method": "sftt"}, "There is no training method 'sftt'"),
        ({"method": "preview"}, "There is no training method 'preview'"),
        ({"replay": {"dataset": "tickets@1"}}, "replay is for preference training"),
        ({"chat_template": "chatml"}, "cannot bring a chat template"),
        ({"method": "reward", "adapter": {"quantise": "4bit"}}, "starts from whole weights"),
    ):
        with pytest.raises(Invalid, match=message):
            preview.preview(home, actor, recipe(**changes))


def test_the_preview_over_http(client: TestClient, renderer: Renderer) -> None:
    values = {
        "base": "base@1",
        "dataset": "mixed@1",
        "columns": {"prompt": "text", "completion": "label"},
    }
    body = {"recipe": "sft-lora", "values": values}
    found = client.post("/api/v1/training/preview", json=body).json()
    assert (found["rows"], [problem["row"] for problem in found["problems"]]) == (4, [2, 3])
    assert found["examples"][0]["segments"][1] == {"text": "b;", "trained": True}
    whole = {"recipe": {**values, "method": "sft"}}
    assert client.post("/api/v1/training/preview", json=whole).json()["rows"] == 4
    assert client.post("/api/v1/training/preview", json={"recipe": "/etc/passwd"}).status_code == 404


def test_the_preview_on_the_command_line(home: Home, renderer: Renderer) -> None:
    values = {
        "base": "base@1",
        "dataset": "mixed@1",
        "columns": {"prompt": "text", "completion": "label"},
    }
    options = [f"--set={key}={json.dumps(value)}" for key, value in values.items()]
    shown = CliRunner().invoke(cli.app, ["preview", "sft-lora", *options, "--home", str(home.path)])
    assert shown.exit_code == 1
    assert "row 3: too long" in shown.output
    assert "u:a;a:[[b;]]" in shown.output
    assert "4 rows, 2 of them with a problem" in shown.output


def test_a_recipe_without_a_name_can_be_looked_at_and_not_run(home: Home, renderer: Renderer) -> None:
    plain = {"method": "sft", "base": "base@1", "dataset": "tickets@1"}
    assert recipes.load_unnamed(plain, {}).name == recipes.UNNAMED
    assert recipes.load_unnamed("sft-lora", plain).name
    assert recipes.load_unnamed(plain, {"name": "mine"}).name == "mine"
    with pytest.raises(Invalid, match="lacks name"):
        recipes.parse(plain)
    with pytest.raises(Invalid, match="lacks method"):
        recipes.load_unnamed({"base": "base@1", "dataset": "tickets@1"}, {})


def test_a_server_that_stops_ends_the_preview(
    home: Home, client: TestClient, renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A successor of a process that only retires takes new calls, so this one may finish."""
    server = client.app
    assert isinstance(server, Penstock)
    wanted: list[bool] = []

    def render(_name: str, _spec: dict[str, Any], *, cancelled: Any, visible: Any) -> dict[str, Any]:
        assert visible == {"CUDA_VISIBLE_DEVICES": ""}, "a tokenizer takes no GPU from a run"
        wanted.append(cancelled())
        for retiring in (True, False):
            server.begin_drain(retiring=retiring)
            wanted.append(cancelled())
        raise Cancelled("The run was cancelled; its process was stopped.")

    monkeypatch.setattr(service, "run_trainer", render)
    asked = {"recipe": recipe(dataset="mixed").to_dict()}
    answer = client.post("/api/v1/training/preview", json=asked)
    assert wanted == [False, False, True]
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "server is stopping" in answer.text
    left = [path.name for path in (home.path / "training").iterdir() if path.name.startswith("prv_")]
    assert left == []
