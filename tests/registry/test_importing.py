"""Models from folders, from a hub, from MLflow, in real child processes."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.core import jobs
from penstock.core.errors import ChildFailed, Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.registry import importing, paper_service, service
from penstock.registry.importers import hub as hub_importer
from penstock.registry.importing import Wish
from penstock.registry.jobs import HANDLERS, IMPORT
from penstock.registry.model import FileEntry, Kind, ModelVersion
from tests.fakes.hub import FakeHub, Repository
from tests.mlflow.conftest import Running
from tests.registry.folders import adapter_folder, base_folder, safetensors

ENTRY_POINTS = """[penstock.model_importers]
hub = penstock.registry.importers.hub
mlflow = penstock.registry.importers.mlflow
"""
README = b"---\nlicense: mit\ntags: [x]\n---\n# A model\n"


@pytest.fixture
def children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets child processes find the importers, whatever the installed metadata is the age of."""
    info = tmp_path / "site" / "penstock_importers-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: penstock-importers\nVersion: 0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    source = Path(importing.__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), str(source)]))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hub(children: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    pytest.importorskip("huggingface_hub")
    with FakeHub() as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        yield fake


def whole(**more: bytes) -> dict[str, bytes]:
    """The files of a small model on the hub, with what must not come along."""
    config = b'{"architectures": ["Qwen3ForCausalLM"]}'
    return {
        "config.json": config,
        "model.safetensors": safetensors(),
        "README.md": README,
        "modeling_x.py": b"import os",
        "training_args.bin": b"\x80\x04",
        **more,
    }


def test_a_hub_repository_at_one_commit(
    home: Home, actor: Actor, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = hub.repositories["acme/small"] = Repository()
    first = repository.commit(whole())
    version = importing.from_hub(home, actor, wish=Wish(name="small"), repository="acme/small")
    assert (version.ref, version.kind) == ("small@1", Kind.BASE)
    assert [entry.path for entry in version.files] == ["README.md", "config.json", "model.safetensors"]
    assert [(link.kind, link.ref) for link in version.lineage] == [("hub", f"acme/small@{first}")]
    assert not any("training_args" in path or "modeling" in path for _, path in hub.asked)
    with home.read() as uow:
        papers = paper_service.papers(uow, actor, ref="small")
    assert (papers.licence, papers.signature is not None) == ("mit", True)
    again = importing.from_hub(home, actor, wish=Wish(name="small"), repository="acme/small")
    assert again == version
    repository.commit(whole(**{"config.json": b"{}"}))
    assert importing.from_hub(home, actor, wish=Wish(name="small"), repository="acme/small").number == 2
    pinned = importing.from_hub(home, actor, wish=Wish(name="small"), repository="acme/small", revision=first)
    assert pinned == version
    assert list(home.folder("work", "imports").iterdir()) == []


def ask(home: Home, actor: Actor, repository: str, revision: str = "main") -> ModelVersion:
    wish = Wish(name="m")
    return importing.from_hub(home, actor, wish=wish, repository=repository, revision=revision)


def test_gated_repositories_open_with_a_token(
    home: Home, actor: Actor, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = hub.repositories["acme/gated"] = Repository(token="hf_secret")
    gated.commit(whole())
    with pytest.raises(Invalid, match="acme/gated is gated"):
        ask(home, actor, "acme/gated")
    with home.read() as uow, pytest.raises(NotFound):
        service.find(uow, actor, name="m")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert ask(home, actor, "acme/gated").ref == "m@1"


def test_missing_repositories_and_revisions(home: Home, actor: Actor, hub: FakeHub) -> None:
    hub.repositories["acme/small"] = Repository()
    hub.repositories["acme/small"].commit(whole())
    with pytest.raises(Invalid, match="no model 'acme/none'"):
        ask(home, actor, "acme/none")
    with pytest.raises(Invalid, match="no revision 'v9'"):
        ask(home, actor, "acme/small", "v9")
    with pytest.raises(Invalid, match="not a hub repository"):
        ask(home, actor, "../etc")


def test_a_hub_that_cannot_be_reached(
    home: Home, actor: Actor, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ChildFailed, match="cannot be fetched"):
        ask(home, actor, "acme/small")
    with home.read() as uow, pytest.raises(NotFound):
        service.find(uow, actor, name="m")


def test_what_is_fetched() -> None:
    choose = hub_importer.choose
    assert "*.safetensors" in choose(["a.safetensors", "a.bin"], "", True)
    assert "pytorch_model*.bin" in choose(["pytorch_model.bin"], "", True)
    assert choose(["m-q4.gguf", "m-q8.gguf", "LICENSE"], "m-q8.gguf", False) == ["m-q8.gguf", "LICENSE"]
    assert choose(["m.gguf"], "", False)[0] == "m.gguf"
    for listed, file, why in (
        (["a.gguf", "b.gguf"], "", "several"),
        (["pytorch_model.bin"], "", "no weights"),
        (["a.gguf"], "b.gguf", "no file 'b.gguf'"),
    ):
        with pytest.raises(Invalid, match=why):
            choose(listed, file, False)


def test_folders_tell_what_they_are(home: Home, actor: Actor, tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", {"README.md": README.decode()})
    version = importing.from_folder(home, actor, wish=Wish(name="small"), folder=base)
    assert (version.kind, version.card_extra) == (Kind.BASE, {"licence": "mit"})
    wish = Wish(name="lora", base="small@1", told={"licence": "Apache-2.0"})
    adapter = importing.from_folder(home, actor, wish=wish, folder=adapter_folder(tmp_path / "a"))
    assert (adapter.kind, adapter.base, adapter.card_extra["licence"]) == (
        Kind.ADAPTER,
        "small@1",
        "Apache-2.0",
    )
    (tmp_path / "empty").mkdir()
    for folder, why in (("empty", "does not look like a model"), ("nowhere", "There is no folder")):
        with pytest.raises(Invalid, match=why):
            importing.from_folder(home, actor, wish=Wish(name="x"), folder=tmp_path / folder)
    broken = base_folder(tmp_path / "broken", {"README.md": "---\n: [\n---\n"})
    assert importing.from_folder(home, actor, wish=Wish(name="y"), folder=broken).card_extra == {}


TRANSFORMERS = """flavors:
  transformers:
    model_binary: model
    task: text-generation
"""
SKLEARN = """flavors:
  python_function: {loader_module: mlflow.sklearn}
  sklearn: {pickled_model: model.pkl}
signature:
  inputs: '[{"name": "x", "type": "double"}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64"}}]'
"""


def saved(folder: Path, described: str, files: dict[str, bytes]) -> Path:
    """A folder as MLflow saves it."""
    for name, data in {"MLmodel": described.encode(), **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_a_transformers_model_of_mlflow_is_put_together_again(
    home: Home, actor: Actor, tmp_path: Path
) -> None:
    files = {
        "model/config.json": b'{"architectures": ["Qwen3ForCausalLM"]}',
        "model/model.safetensors": safetensors(),
        "components/tokenizer/tokenizer.json": b"{}",
        "requirements.txt": b"x",
    }
    folder = saved(tmp_path / "m", TRANSFORMERS, files)
    version = importing.from_folder(home, actor, wish=Wish(name="chat"), folder=folder)
    assert (version.kind, [entry.path for entry in version.files]) == (
        Kind.BASE,
        ["config.json", "model.safetensors", "tokenizer.json"],
    )
    for options, why in (
        ("{source_model_name: acme/x}", "not in its folder"),
        ("{model_binary: ../..}", "not in its folder"),
    ):
        bad = saved(tmp_path / why[:2] / options[1:7], f"flavors: {{transformers: {options}}}", {})
        with pytest.raises(Invalid, match=why):
            importing.from_folder(home, actor, wish=Wish(name="chat"), folder=bad)


@pytest.mark.parametrize(
    "place", ["model/notes.txt", "components/tokenizer/notes.txt", "README.md", "components/all"]
)
def test_links_in_a_model_of_mlflow_bring_nothing_from_elsewhere(
    home: Home, actor: Actor, tmp_path: Path, place: str
) -> None:
    files = {"model/config.json": b"{}", "model/model.safetensors": safetensors()}
    folder = saved(tmp_path / "m", TRANSFORMERS, files | {"components/tokenizer/tokenizer.json": b"{}"})
    secret = tmp_path / "elsewhere"
    secret.mkdir()
    (secret / "notes.txt").write_text("secret")
    (folder / place).symlink_to(secret if place.endswith("all") else secret / "notes.txt")
    with pytest.raises(Invalid, match="leads out of the folder"):
        importing.from_folder(home, actor, wish=Wish(name="chat"), folder=folder)


def test_other_models_of_mlflow_are_kept_by_leave_and_never_loaded(
    home: Home, actor: Actor, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "m", SKLEARN, {"model.pkl": b"csklearn.svm\nSVC\n)R."})
    with pytest.raises(Invalid, match=r"can run code when they are loaded: model\.pkl"):
        importing.from_folder(home, actor, wish=Wish(name="net"), folder=folder)
    version = importing.from_folder(home, actor, wish=Wish(name="net", allow_pickles=True), folder=folder)
    with home.read() as uow:
        papers = paper_service.papers(uow, actor, ref="net")
    assert (version.kind, papers.scan and papers.scan["safe"]) == (Kind.MLFLOW, False)
    assert papers.signature is not None
    assert papers.signature["inputs"] == [{"name": "x", "type": "double"}]
    with pytest.raises(Invalid, match="does not load it"):
        service.materialize(home, actor, ref="net")
    for text, why in (("flavors: [", "not saved by MLflow"), ("a: 1", "names no flavor")):
        with pytest.raises(Invalid, match=why):
            importing.from_folder(
                home, actor, wish=Wish(name="n"), folder=saved(tmp_path / why[:3], text, {})
            )


def test_a_registered_model_of_a_server(
    home: Home, actor: Actor, children: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for path, data in {
        "MLmodel": TRANSFORMERS.encode(),
        "model/config.json": b"{}",
        "model/model.safetensors": safetensors(),
    }.items():
        stored = home.blobs.put_bytes(data)
        files.append(FileEntry(path=path, sha256=stored.sha256, size=stored.size))
    service.register_stored(home, actor, name="net", files=tuple(files), lineage=(), card_extra={})
    with home.begin() as uow:
        service.set_alias(uow, actor, name="net", alias="champion", version=1)
    server = Running(home, actor)
    server.start()
    try:
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", server.key)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
        with pytest.raises(Invalid, match="401"):  # the token is another server's
            importing.from_mlflow(
                home, actor, wish=Wish(name="copy"), uri=server.url, model="net", version="1"
            )
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{server.url}/mlflow")
        for wanted in ("1", "champion"):
            version = importing.from_mlflow(
                home, actor, wish=Wish(name="copy"), uri=server.url, model="net", version=wanted
            )
            assert (version.ref, version.kind) == ("copy@1", Kind.BASE)
        assert [link.ref for link in version.lineage] == [f"{server.url}/net/1"]
        with pytest.raises(Invalid, match="404"):
            importing.from_mlflow(
                home, actor, wish=Wish(name="copy"), uri=server.url, model="none", version="1"
            )
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "wrong")
        with pytest.raises(Invalid, match="401"):
            importing.from_mlflow(
                home, actor, wish=Wish(name="copy"), uri=server.url, model="net", version="1"
            )
    finally:
        server.stop()
    with pytest.raises(Denied):
        importing.from_mlflow(
            home, actor, wish=Wish(name="c"), uri="http://169.254.169.254", model="n", version="1"
        )


def test_an_import_as_a_job_and_who_may_ask(
    home: Home, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = base_folder(tmp_path / "m")
    spec = {
        "source": "folder",
        "folder": str(folder),
        "wish": importing.spec_of(Wish(name="small", told={"licence": "MIT"})),
    }
    with home.begin() as uow:
        job = jobs.enqueue(uow, actor, IMPORT, spec)
    done = jobs.run_inline(home, job.id, HANDLERS)
    assert done.result == {"ref": "small@1"}
    viewer = Actor(id="v", name="v", role=Role.VIEWER)
    with pytest.raises(Denied):
        importing.from_hub(home, viewer, wish=Wish(name="m"), repository="acme/small")
    with pytest.raises(Invalid, match="not a kind of model"):
        importing.from_hub(home, actor, wish=Wish(name="m", kind="x"), repository="acme/small")
