import json
import threading
from pathlib import Path

import pytest

from penstock.core.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor, Role, Scope
from penstock.registry import paper_service, service
from penstock.registry.model import Kind, ModelVersion
from tests.registry.folders import adapter_folder, base_folder, safetensors


def register(home: Home, actor: Actor, folder: Path, **more: object) -> ModelVersion:
    given = {"name": "triage", "kind": "base", **more}
    return service.register(home, actor, folder=folder, **given)  # type: ignore[arg-type]


def test_register_stores_every_file_with_its_checksum(home: Home, actor: Actor, tmp_path: Path) -> None:
    folder = base_folder(tmp_path / "m", {"nested/notes.txt": "über"})
    (folder / ".cache").mkdir()
    (folder / ".cache" / "junk.bin").write_bytes(b"x")
    version = register(home, actor, folder, lineage=[Link("dataset_version", "tickets@1", "training data")])
    assert version.ref == "triage@1"
    assert [entry.path for entry in version.files] == ["config.json", "model.safetensors", "nested/notes.txt"]
    for entry in version.files:
        assert home.blobs.read(entry.sha256) == (folder / entry.path).read_bytes()
    with home.read() as uow:
        edges = service.lineage(uow, actor, ref="triage@1")
    assert [(edge.parent_kind, edge.parent_ref, edge.role) for edge in edges] == [
        ("dataset_version", "tickets@1", "training data")
    ]


def test_registering_the_same_again_finds_the_same_version(home: Home, actor: Actor, tmp_path: Path) -> None:
    folder = base_folder(tmp_path / "m")
    first = register(home, actor, folder)
    assert register(home, actor, folder) == first
    other = register(home, actor, folder, lineage=[Link("training_run", "run_1", "made by")])
    assert (other.number, other.digest) == (2, first.digest)
    (folder / "README.md").write_text("more")
    assert register(home, actor, folder).number == 3


def test_versions_numbered_by_several_writers_at_once_have_no_gaps(
    home: Home, actor: Actor, tmp_path: Path
) -> None:
    folders = [base_folder(tmp_path / str(i), {"note.txt": str(i)}) for i in range(6)]
    threads = [threading.Thread(target=register, args=(home, actor, folder)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with home.read() as uow:
        numbers = [version.number for version in service.list_versions(uow, actor, name="triage")]
    assert numbers == [6, 5, 4, 3, 2, 1]


def test_an_adapter_needs_its_base_and_links_to_it(home: Home, actor: Actor, tmp_path: Path) -> None:
    folder = adapter_folder(tmp_path / "a")
    with pytest.raises(Invalid, match="needs the base model"):
        register(home, actor, folder, kind="adapter")
    with pytest.raises(NotFound, match="no model 'nowhere'"):
        register(home, actor, folder, kind="adapter", base="nowhere@1")
    register(home, actor, base_folder(tmp_path / "b"), name="small")
    version = register(home, actor, folder, kind="adapter", base="small")
    assert (version.kind, version.base) == (Kind.ADAPTER, "small@1")
    with home.read() as uow:
        down = service.lineage(uow, actor, ref="small@1", direction="down")
    assert [edge.child_ref for edge in down] == ["triage@1"]


def test_references_by_number_alias_and_newest(home: Home, actor: Actor, tmp_path: Path) -> None:
    for i in (1, 2):
        register(home, actor, base_folder(tmp_path / str(i), {"n.txt": str(i)}))
    with home.begin() as uow:
        model = service.set_alias(uow, actor, name="triage", alias="production", version=1)
        assert model.aliases == {"latest": 2, "production": 1}
        service.set_alias(uow, actor, name="triage", alias="production", version=1)
        service.set_alias(uow, actor, name="triage", alias="production", version=2)
        moves = service.alias_history(uow, actor, name="triage")
    assert [(move.version, move.previous) for move in moves] == [(2, 1), (1, None)]
    with home.read() as uow:
        assert service.get(uow, actor, ref="triage@production").number == 2
        assert service.get(uow, actor, ref="triage").number == 2
        assert service.get(uow, actor, ref="triage@1").number == 1
        for ref, why in {
            "triage@9": "no version 9",
            "triage@x": "no alias 'x'",
            "Nope!": "not a model name",
        }.items():
            with pytest.raises((NotFound, Invalid), match=why):
                service.get(uow, actor, ref=ref)
        with pytest.raises(Invalid, match="moves by itself"):
            service.set_alias(uow, actor, name="triage", alias="latest", version=1)


def test_projects_do_not_see_each_other(home: Home, actor: Actor, tmp_path: Path) -> None:
    register(home, actor, base_folder(tmp_path / "m"))
    other = Actor(id="x", name="x", role=Role.OWNER, scope=Scope("default", "other"))
    with home.read() as uow:
        assert service.list_models(uow, other) == []
        with pytest.raises(NotFound):
            service.get(uow, other, ref="triage@1")
    viewer = Actor(id="v", name="v", role=Role.VIEWER)
    with pytest.raises(Denied):
        register(home, viewer, base_folder(tmp_path / "n"))


def test_list_searches_and_pages(home: Home, actor: Actor, tmp_path: Path) -> None:
    for name in ("alpha", "beta", "gamma-100%"):
        register(home, actor, base_folder(tmp_path / "m"), name=name.rstrip("%"))
    with home.read() as uow:
        assert [m.name for m in service.list_models(uow, actor, limit=2)] == ["alpha", "beta"]
        assert [m.name for m in service.list_models(uow, actor, after="beta")] == ["gamma-100"]
        assert [m.name for m in service.list_models(uow, actor, text="ET")] == ["beta"]
        assert service.list_models(uow, actor, text="%") == []


def test_materialize_gives_the_same_bytes_and_notices_changes(
    home: Home, actor: Actor, tmp_path: Path
) -> None:
    folder = base_folder(tmp_path / "m", {"nested/notes.txt": "über"})
    register(home, actor, folder)
    cached = service.materialize(home, actor, ref="triage")
    assert {p.relative_to(cached).as_posix() for p in cached.rglob("*") if p.is_file()} == {
        "config.json",
        "model.safetensors",
        "nested/notes.txt",
    }
    assert (cached / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    before = (cached / "config.json").stat().st_ino
    assert service.materialize(home, actor, ref="triage") == cached
    assert (cached / "config.json").stat().st_ino == before, "an untouched folder is used again"
    (cached / "config.json").chmod(0o600)
    (cached / "config.json").write_text("{}")
    service.materialize(home, actor, ref="triage")
    assert json.loads((cached / "config.json").read_text()) == {"architectures": ["X"]}
    copy = service.materialize(home, actor, ref="triage", to=tmp_path / "copy")
    assert (copy / "config.json").exists()
    with pytest.raises(Conflict, match="not an empty folder"):
        service.materialize(home, actor, ref="triage", to=tmp_path / "copy")


def test_a_killed_or_concurrent_materialize_leaves_a_whole_folder(
    home: Home, actor: Actor, tmp_path: Path
) -> None:
    version = register(home, actor, base_folder(tmp_path / "m"))
    cache = home.folder("cache", "models")
    (cache / version.digest).mkdir()
    (cache / version.digest / "config.json").write_text("half of it")  # as an older, unclean stop would leave
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(service.materialize(home, actor, ref="triage")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert (found[0] / "model.safetensors").read_bytes() == safetensors()
    assert not list(cache.glob(".*.part"))


def test_a_damaged_or_missing_blob_is_named(home: Home, actor: Actor, tmp_path: Path) -> None:
    version = register(home, actor, base_folder(tmp_path / "m"))
    entry = version.files[1]
    blob = next((home.path / "blobs").rglob(entry.sha256))
    blob.chmod(0o600)
    blob.write_bytes(b"rotten")
    with pytest.raises(Unavailable, match=r"model.safetensors of triage@1 cannot be restored.*damaged"):
        service.materialize(home, actor, ref="triage")
    blob.unlink()
    with pytest.raises(Unavailable, match="not in the store"):
        service.materialize(home, actor, ref="triage", to=tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert not list(home.folder("cache", "models").glob("*/*"))


def test_stage_metrics_and_card(home: Home, actor: Actor, tmp_path: Path) -> None:
    extra = {"licence": "Apache-2.0", "intended_use": "Sorting mail.", "recipe": {"epochs": 2, "lr": 0.005}}
    register(home, actor, base_folder(tmp_path / "m"), card_extra=extra, metrics={"loss": 0.25})
    with home.begin() as uow:
        service.set_stage(uow, actor, ref="triage@1", stage="staging")
        measured = {"exact_match": {"value": 0.775, "low": 0.73, "high": 0.81, "n": 400}}
        service.record_metrics(uow, actor, ref="triage@1", metrics=measured)
        with pytest.raises(Invalid, match="not a stage"):
            service.set_stage(uow, actor, ref="triage@1", stage="live")
    with home.read() as uow:
        version = service.get(uow, actor, ref="triage@1")
        card = paper_service.card(uow, actor, ref="triage@1")
    assert (str(version.stage), version.metrics["loss"]) == ("staging", 0.25)
    for part in (
        "| exact_match | 0.775 | 0.73 to 0.81 | 400 |",
        "Apache-2.0",
        "Sorting mail.",
        "| epochs | 2 |",
    ):
        assert part in card
    assert "## Limitations\n\nNot stated by the maker." in card
    assert all(entry.sha256 in card for entry in version.files)


def test_how_many_versions_and_which_is_newest(home: Home, actor: Actor, tmp_path: Path) -> None:
    with home.read() as uow:
        assert (service.count(uow, actor), service.newest(uow, actor)) == (0, None)
    for name in ("beta", "alpha"):
        register(home, actor, base_folder(tmp_path / "m"), name=name)
    register(home, actor, base_folder(tmp_path / "m", {"n.txt": "x"}), name="beta")
    other = Actor(id="x", name="x", role=Role.OWNER, scope=Scope("default", "other"))
    register(home, other, base_folder(tmp_path / "m"), name="gamma")
    with home.read() as uow:
        newest = service.newest(uow, actor)
        assert newest is not None
        assert (service.count(uow, actor), newest.ref) == (3, "beta@2")
