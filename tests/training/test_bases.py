"""Bases that are no registered version: a hub's repository or a folder becomes one, and the run records which."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from penstock.core import jobs, lineage
from penstock.core.errors import Cancelled, ChildFailed, Denied, Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.registry import adopting, importing, paper_service
from penstock.registry import service as registry
from penstock.registry.adopting import Place, place_of
from penstock.training import cli, preview, service
from penstock.training import jobs as handlers
from penstock.training.model import RunState
from tests.fakes.hub import FakeHub, Repository
from tests.registry.folders import adapter_folder, base_folder, safetensors
from tests.training.stage import Trainer, furnish, recipe

ENTRY_POINTS = "[penstock.model_importers]\nhub = penstock.registry.importers.hub\n"
README = b"---\nlicense: mit\n---\n# A model\n"


@pytest.fixture
def trainer(home: Home, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    furnish(home, actor, tmp_path)
    scripted = Trainer()
    monkeypatch.setattr(service, "run_child", scripted)
    return scripted


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """Yield a hub on loopback with `acme/small`; child processes find the importer whatever is installed."""
    pytest.importorskip("huggingface_hub")
    info = tmp_path / "site" / "penstock_importers-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: penstock-importers\nVersion: 0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    source = Path(importing.__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), str(source)]))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with FakeHub() as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        fake.repositories["acme/small"] = Repository()
        fake.repositories["acme/small"].commit(files())
        yield fake


def files(values: int = 7) -> dict[str, bytes]:
    config = b'{"architectures": ["Qwen3ForCausalLM"]}'
    return {"config.json": config, "model.safetensors": safetensors(values), "README.md": README}


def folder_of(path: Path, values: int = 7) -> Path:
    path.mkdir(parents=True)
    for name, data in files(values).items():
        (path / name).write_bytes(data)
    return path


def parents(home: Home, actor: Actor, ref: str) -> set[tuple[str, str]]:
    with home.read() as uow:
        up = lineage.neighbours(uow.conn, actor.scope, "model_version", ref)
    return {(edge.parent_kind, edge.parent_ref) for edge in up}


def test_what_names_what() -> None:
    assert place_of("small@3") is None
    assert place_of("acme/small") == Place(kind="hub", where="acme/small")
    assert place_of("acme/small@v1.0") == Place(kind="hub", where="acme/small", revision="v1.0")
    assert place_of("/models/small@2") == Place(kind="folder", where="/models/small@2")
    for wrong in ("./small", "~/small", "a/b/c", "../etc", "acme/small@v 1", "/" + "x" * 300, "a/"):
        with pytest.raises(Invalid):
            place_of(wrong)
    assert adopting.absolute("./small") == str(Path.cwd() / "small")
    assert adopting.absolute("acme/small") == "acme/small"


def test_a_run_on_a_hubs_repository(home: Home, actor: Actor, trainer: Trainer, hub: FakeHub) -> None:
    seen: list[str] = []
    run = service.execute(
        home, actor, recipe(base="acme/small"), progress=lambda report: seen.append(report["stage"])
    )
    commit = list(hub.repositories["acme/small"].commits)[-1]
    assert (run.base, run.recipe["base"], run.state) == ("acme-small@1", "acme-small@1", "succeeded")
    assert seen[0] == "import"
    assert {("model_version", "acme-small@1"), ("hub", f"acme/small@{commit}")} <= parents(
        home, actor, "triage@1"
    )
    assert [given["ref"] for given in run.inputs] == ["tickets@1", "acme-small@1"]
    with home.read() as uow:
        assert paper_service.papers(uow, actor, ref="acme-small@1").licence == "mit"
        assert (paper_service.papers(uow, actor, ref="acme-small@1").scan or {})["safe"]
    asked = len(hub.asked)
    again = service.execute(home, actor, recipe(base="acme/small@main", seed=1))
    assert again.base == "acme-small@1"
    assert {path for _, path in hub.asked[asked:]} == {"/api/models/acme/small/revision/main"}, "not fetched"
    pinned = len(hub.asked)
    assert service.execute(home, actor, recipe(base=f"acme/small@{commit}", seed=2)).base == "acme-small@1"
    assert len(hub.asked) == pinned, "a known commit needs no hub"
    hub.repositories["acme/small"].commit(files(9))
    assert service.execute(home, actor, recipe(base="acme/small", seed=3)).base == "acme-small@2"
    with home.read() as uow:
        looked = {
            at: adopting.here(uow, actor, place_of(f"acme/small{at}"))
            for at in ("", f"@{commit}", f"@{'0' * 40}")
        }
    assert [one and one.ref for one in looked.values()] == ["acme-small@2", "acme-small@1", None]


def test_a_queued_run_imports_its_base_when_its_turn_comes(
    home: Home, actor: Actor, trainer: Trainer, hub: FakeHub
) -> None:
    queued = service.start(home, actor, recipe(base="acme/small"))
    assert (queued.base, queued.state, hub.asked) == ("acme/small", "queued", [])
    job = jobs.run_inline(home, str(queued.job_id), handlers.HANDLERS)
    assert (job.result or {})["model"] == "triage@1"
    with home.read() as uow:
        assert service.get(uow, actor, run_id=queued.id).base == "acme-small@1"


def test_a_gated_repository_takes_the_token(
    home: Home, actor: Actor, trainer: Trainer, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories["acme/gated"] = Repository(token="hf_secret")
    hub.repositories["acme/gated"].commit(files())
    with pytest.raises(Invalid, match=r"gated.*HF_TOKEN"):
        service.execute(home, actor, recipe(base="acme/gated"), key="k")
    with home.read() as uow:
        (failed,) = service.list_runs(uow, actor)
    assert (failed.state, failed.base) == (RunState.FAILED, "acme/gated")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    resumed = service.execute(home, actor, recipe(base="acme/gated"), key="k")
    assert (resumed.id, resumed.state, resumed.base) == (failed.id, "succeeded", "acme-gated@1")


def test_without_a_hub_a_folder_is_named_as_the_way(
    home: Home, actor: Actor, trainer: Trainer, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ChildFailed, match=r"the hub cannot be reached.*models import-folder"):
        service.execute(home, actor, recipe(base="acme/small"))
    assert trainer.specs == []


def test_the_same_files_are_one_version_wherever_they_are(
    home: Home, actor: Actor, trainer: Trainer, tmp_path: Path
) -> None:
    first, second = folder_of(tmp_path / "a" / "Small Base"), folder_of(tmp_path / "b" / "copy")
    assert service.execute(home, actor, recipe(base=str(first))).base == "small-base@1"
    assert service.execute(home, actor, recipe(base=str(first), seed=1)).base == "small-base@1"
    assert service.execute(home, actor, recipe(base=str(second), seed=2)).base == "small-base@1"
    assert {("folder", str(first)), ("folder", str(second))} <= parents(home, actor, "small-base@1")
    (first / "model.safetensors").write_bytes(safetensors(8))
    assert service.execute(home, actor, recipe(base=str(first), seed=3)).base == "small-base@2"


def test_an_import_never_takes_the_name_of_another_model(
    home: Home, actor: Actor, trainer: Trainer, tmp_path: Path
) -> None:
    run = service.execute(home, actor, recipe(base=str(folder_of(tmp_path / "elsewhere" / "base"))))
    assert run.base.startswith("base-")
    with home.read() as uow:
        assert registry.get(uow, actor, ref="base").number == 1
    known = folder_of(tmp_path / "again", values=4)
    (known / "README.md").unlink()
    base_folder(known)
    assert service.execute(home, actor, recipe(base=str(known), seed=1)).base == "base@1"


def test_what_cannot_be_trained_is_not_imported(
    home: Home, actor: Actor, trainer: Trainer, tmp_path: Path
) -> None:
    gguf = tmp_path / "gguf"
    gguf.mkdir()
    (gguf / "m.gguf").write_bytes(b"GGUF")
    for folder, why in (
        (gguf, "of kind gguf"),
        (adapter_folder(tmp_path / "lora"), "is an adapter"),
        (tmp_path / "none", "no folder"),
    ):
        with pytest.raises(Invalid, match=why):
            service.execute(home, actor, recipe(base=str(folder)))
    pickled = folder_of(tmp_path / "pickled")
    (pickled / "extra.bin").write_bytes(b"\x80\x04")
    with pytest.raises(Invalid, match="pickle"):
        service.execute(home, actor, recipe(base=str(pickled)))
    with home.read() as uow:
        assert [model.name for model in registry.list_models(uow, actor)] == ["base"]


def test_only_those_who_may_import_folders_may_name_one(
    home: Home, actor: Actor, trainer: Trainer, tmp_path: Path
) -> None:
    member = Actor(id="usr_m", name="m", role=Role.MEMBER, scope=actor.scope)
    folder = folder_of(tmp_path / "private")
    with pytest.raises(Denied):
        service.start(home, member, recipe(base=str(folder)))
    with pytest.raises(Denied):
        service.execute(home, member, recipe(base=str(tmp_path / "not there")))
    with home.read() as uow:
        assert service.list_runs(uow, actor) == []
    assert service.start(home, member, recipe(base="acme/small")).base == "acme/small"


def test_over_http(client: TestClient, home: Home, actor: Actor, trainer: Trainer, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "private")
    fields = {"recipe": json.loads(json.dumps(recipe(base=str(folder)).to_dict()))}
    queued = client.post("/api/v1/training/runs", json=fields)
    assert (queued.status_code, queued.json()["base"]) == (201, str(folder))
    relative = {"recipe": {**fields["recipe"], "base": "./private"}}
    refused = client.post("/api/v1/training/runs", json=relative)
    assert (refused.status_code, "absolute path" in refused.json()["detail"]) == (400, True)
    looked = client.post("/api/v1/training/preview", json=fields)
    assert (looked.status_code, "not in the registry yet" in looked.json()["detail"]) == (400, True)


def test_a_preview_takes_what_was_imported_before(
    home: Home, actor: Actor, trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path / "small")
    with pytest.raises(Invalid, match="not in the registry"):
        preview.preview(home, actor, recipe(base=str(folder)))
    service.execute(home, actor, recipe(base=str(folder)))
    seen: list[str] = []

    def rendered(_name: str, spec: dict[str, object], **_: object) -> dict[str, object]:
        seen.append(str(spec["base"]))
        return {"examples": [], "problems": []}

    monkeypatch.setattr(service, "run_trainer", rendered)
    assert preview.preview(home, actor, recipe(base=str(folder))).rows == 12
    assert seen == ["small@1"]


def test_the_command_line_reads_folders_from_where_it_runs(
    home: Home, actor: Actor, trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of(tmp_path / "small")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(json.dumps(recipe(base="./small").to_dict()))
    ran = CliRunner().invoke(cli.app, ["run", "r.yaml", "--home", str(home.path), "--json"])
    assert ran.exit_code == 0, ran.output
    with home.read() as uow:
        (run,) = service.list_runs(uow, actor)
    assert (run.base, run.state) == ("small@1", "succeeded")


def test_an_import_is_given_up_with_its_run(home: Home, actor: Actor, trainer: Trainer, hub: FakeHub) -> None:
    with pytest.raises(Cancelled):
        service.execute(home, actor, recipe(base="acme/small"), cancelled=lambda: True)
    with home.read() as uow:
        (run,) = service.list_runs(uow, actor)
        assert [model.name for model in registry.list_models(uow, actor)] == ["base"]
    assert run.state is RunState.CANCELLED
