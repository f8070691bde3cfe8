"""Versions that MLflow's clients register: files that are blobs already, kept and never loaded."""

from pathlib import Path

import pytest

from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.registry import service
from penstock.registry.model import FileEntry, Kind, ModelVersion


def _stored(home: Home, actor: Actor, text: bytes = b"pickled") -> ModelVersion:
    ref = home.blobs.put_bytes(text)
    files = (FileEntry(path="model/x.pkl", sha256=ref.sha256, size=ref.size),)
    links = (Link("run", "xrn_1", "source"),)
    return service.register_stored(home, actor, name="net", files=files, lineage=links, card_extra={})


def test_stored_files_become_versions_once(home: Home, actor: Actor) -> None:
    first, again, other = _stored(home, actor), _stored(home, actor), _stored(home, actor, b"more")
    assert (first.number, again.number, other.number) == (1, 1, 2)
    assert first.kind is Kind.MLFLOW
    with home.read() as uow:
        assert [edge.parent_ref for edge in service.lineage(uow, actor, ref="net@1")] == ["xrn_1"]


def test_they_are_handed_back_and_never_loaded(home: Home, actor: Actor, tmp_path: Path) -> None:
    version = _stored(home, actor)
    with pytest.raises(Invalid, match="does not load it"):
        service.materialize(home, actor, ref=version.ref)
    folder = service.materialize(home, actor, ref=version.ref, to=tmp_path / "out")
    assert (folder / "model" / "x.pkl").read_bytes() == b"pickled"


def test_a_folder_cannot_claim_the_kind(home: Home, actor: Actor, tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(b"\x80\x04")
    with pytest.raises(Invalid, match="MLflow"):
        service.register(home, actor, name="net", folder=tmp_path, kind="mlflow")


def test_an_empty_model_and_an_alias_taken_away(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        made = service.create(uow, actor, name="net", description="a net")
        assert service.create(uow, actor, name="net").id == made.id
    _stored(home, actor)
    with home.begin() as uow:
        service.set_alias(uow, actor, name="net", alias="live", version=1)
        assert "live" not in service.remove_alias(uow, actor, name="net", alias="live").aliases
        with pytest.raises(NotFound):
            service.remove_alias(uow, actor, name="net", alias="live")
