"""Papers: licence, signature, cards that people edit, signed manifests, scans."""

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from penstock.core.errors import Denied, Invalid, Unavailable
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor, Role
from penstock.registry import exporting, paper_service, service
from penstock.registry.model import FileEntry, ModelVersion
from penstock.registry.papers import manifest
from tests.registry.folders import adapter_folder, base_folder

CHAT = {"chat_template.jinja": "{{ messages }}", "generation_config.json": '{"temperature": 0.7}'}


@pytest.fixture
def version(home: Home, actor: Actor, tmp_path: Path) -> ModelVersion:
    folder = base_folder(tmp_path / "m", CHAT)
    config = {"architectures": ["Qwen3ForCausalLM"], "max_position_embeddings": 4096}
    (folder / "config.json").write_text(json.dumps(config))
    told = {"licence": "Apache-2.0", "intended_use": "Sorting tickets."}
    return service.register(home, actor, name="triage", folder=folder, kind="base", card_extra=told)


def test_a_version_gets_its_papers_when_it_is_registered(
    home: Home, actor: Actor, version: ModelVersion
) -> None:
    with home.read() as uow:
        papers = paper_service.papers(uow, actor, ref="triage")
        verdict = paper_service.verify(uow, actor, ref="triage")
    assert (papers.licence, papers.intended_use) == ("Apache-2.0", "Sorting tickets.")
    assert papers.signature == {
        "task": "chat",
        "context": 4096,
        "inputs": [{"name": "messages", "type": "array", "items": {"role": "string", "content": "string"}}],
        "outputs": [{"name": "text", "type": "string"}],
        "params": [{"name": "temperature", "type": "number", "default": 0.7}],
    }
    assert papers.scan is not None
    assert (papers.scan["files"], papers.scan["safe"]) == ({"json": 2, "safetensors": 1, "text": 1}, True)
    assert (verdict.signed, verdict.holds, len(verdict.key_id)) == (True, True, 64)
    assert paper_service.verify_files(home, actor, ref="triage").holds


def test_statements_are_changed_by_members_only(home: Home, actor: Actor, version: ModelVersion) -> None:
    with home.begin() as uow:
        changed = paper_service.state(uow, actor, ref="triage", licence=" MIT\nor\tnot ")
        assert (changed.licence, changed.intended_use) == ("MIT or not", "Sorting tickets.")
        with pytest.raises(Denied):
            paper_service.state(uow, Actor(id="v", name="v", role=Role.VIEWER), ref="triage", licence="x")
        for wrong, why in (
            ({"in": []}, "no 'in'"),
            ({"inputs": [{"name": "x"}]}, "list of {name, type}"),
            ({"task": "a\0"}, "NUL"),
            ({"task": "a\ud800"}, "surrogates"),
        ):
            with pytest.raises(Invalid, match=why):
                paper_service.state(uow, actor, ref="triage", signed=wrong)
        for field in ("licence", "intended_use"):
            for odd in ("a\0", "a\udfff"):
                with pytest.raises(Invalid, match="no text"):
                    paper_service.state(uow, actor, ref="triage", **{field: odd})
        assert paper_service.verify(uow, actor, ref="triage").holds, "what people say is not signed"


def test_conversions_keep_the_papers_and_adapters_the_signature(
    home: Home, actor: Actor, version: ModelVersion, tmp_path: Path
) -> None:
    link = Link("model_version", "triage@1", "source")
    gguf = tmp_path / "g"
    gguf.mkdir()
    (gguf / "m.gguf").write_bytes(b"GGUF\3\0\0\0" + bytes(16))
    service.register(home, actor, name="triage-gguf", folder=gguf, kind="gguf", lineage=[link])
    folder = adapter_folder(tmp_path / "a")
    service.register(home, actor, name="lora", folder=folder, kind="adapter", base="triage@1")
    with home.read() as uow:
        source, variant, adapter = (
            paper_service.papers(uow, actor, ref=ref) for ref in ("triage", "triage-gguf", "lora")
        )
    assert (variant.licence, variant.intended_use) == (source.licence, source.intended_use)
    assert variant.signature == adapter.signature == source.signature is not None
    assert (adapter.licence, adapter.intended_use) == ("", "")


def test_the_card_is_evidence_until_somebody_edits_it(
    home: Home, actor: Actor, version: ModelVersion
) -> None:
    with home.begin() as uow:
        uow.link(actor.scope, ("eval_run", "evr_1"), [Link("model_version", "triage@1", "target")])
        generated = paper_service.card(uow, actor, ref="triage")
        for line in (
            "## Licence\n\nApache-2.0",
            "## Intended use\n\nSorting tickets.",
            "- evaluation `evr_1`",
            "Task: chat. Context: 4096 tokens.",
            "Nothing in them runs code.",
        ):
            assert line in generated
        papers = paper_service.edit_card(uow, actor, ref="triage", text="# Mine \N{SNOWMAN}")
        assert (papers.card_author, papers.card_at is not None) == (actor.name, True)
        assert paper_service.card(uow, actor, ref="triage") == "# Mine \N{SNOWMAN}"
        assert paper_service.generated_card(uow, actor, ref="triage") == generated
        paper_service.edit_card(uow, actor, ref="triage", text=None)
        assert paper_service.card(uow, actor, ref="triage") == generated
        with pytest.raises(Invalid, match="at most"):
            paper_service.edit_card(uow, actor, ref="triage", text="x" * 1_000_001)


def _files(home: Home, change: Callable[[list[dict[str, Any]]], None]) -> None:
    with home.begin() as uow:
        (held,) = uow.conn.execute(text("SELECT files FROM registry_versions")).one()
        files = json.loads(held) if isinstance(held, str) else held
        change(files)
        statement = text("UPDATE registry_versions SET files = CAST(:files AS JSONB)")
        if home.db.sqlite:
            statement = text("UPDATE registry_versions SET files = :files")
        uow.conn.execute(statement, {"files": json.dumps(files)})


def test_a_version_whose_record_was_changed_is_not_handed_out(
    home: Home, actor: Actor, version: ModelVersion
) -> None:
    other = home.blobs.put_bytes(b"{}")

    def swap(files: list[dict[str, Any]]) -> None:
        files[1]["sha256"] = other.sha256

    _files(home, swap)
    with home.read() as uow:
        verdict = paper_service.verify(uow, actor, ref="triage")
    assert (verdict.signed, verdict.holds) == (True, False)
    assert verdict.problems == ("config.json was changed.",)
    with pytest.raises(Unavailable, match="not what was signed"):
        service.materialize(home, actor, ref="triage")


def test_a_damaged_blob_is_named(home: Home, actor: Actor, version: ModelVersion) -> None:
    entry = version.files[0]
    home.blobs.delete(entry.sha256)
    found = paper_service.verify_files(home, actor, ref="triage")
    assert not found.holds
    assert len(found.problems) == 1
    assert found.problems[0].startswith(f"{entry.path}: Blob")


FILES = (FileEntry(path="a", sha256="0" * 64, size=1), FileEntry(path="b", sha256="1" * 64, size=2))


def test_manifests_that_do_not_hold(home: Home, actor: Actor, version: ModelVersion) -> None:
    with home.begin() as uow:
        envelope = manifest.sign(uow, actor.scope, manifest.statement(version, FILES))
        key = manifest.signing_key(uow, actor.scope)
    keys = {key.key_id: key.public}
    assert manifest.check(envelope, FILES[::-1], keys, ref="triage@1").holds
    changed = (FILES[0], FileEntry(path="b", sha256="2" * 64, size=2))
    more = (*FILES, FileEntry(path="c", sha256="2" * 64, size=2))
    payload = json.loads(base64.b64decode(envelope["payload"]))
    payload["subject"].pop()
    forged = {**envelope, "payload": base64.b64encode(json.dumps(payload).encode()).decode()}
    for wrong, files, trusted, ref, why in (
        (envelope, changed, keys, "", "b was changed"),
        (envelope, FILES[:1], keys, "", "b is missing"),
        (envelope, more, keys, "", "c is not in the manifest"),
        (envelope, FILES, {}, "", "not trusted"),
        (envelope, FILES, keys, "triage@2", "that of triage@1"),
        (forged, FILES[:1], keys, "", "signature does not hold"),
        ({}, FILES, keys, "", "cannot be read"),
        ({**envelope, "payloadType": "x"}, FILES, keys, "", "unknown type"),
    ):
        found = manifest.check(wrong, files, trusted, ref=ref)
        assert not found.holds
        assert why in found.problems[0]
    assert not manifest.check(None, FILES, keys).signed


def test_a_replaced_vault_key_starts_a_new_signing_key_and_old_manifests_hold(
    home: Home, actor: Actor, version: ModelVersion, tmp_path: Path
) -> None:
    (home.path / "secret.key").unlink()
    with Home.open(home.path) as again:
        folder = base_folder(tmp_path / "n", {"n.txt": "more"})
        service.register(again, actor, name="triage", folder=folder, kind="base")
        with again.read() as uow:
            assert len(paper_service.signing_keys(uow, actor)) == 2
            verdicts = [paper_service.verify(uow, actor, ref=f"triage@{number}") for number in (1, 2)]
    assert [verdict.holds for verdict in verdicts] == [True, True]
    assert verdicts[0].key_id != verdicts[1].key_id


def test_an_exported_folder_carries_card_metadata_and_manifest(
    home: Home, actor: Actor, tmp_path: Path
) -> None:
    folder = base_folder(tmp_path / "m", {"README.md": "the maker's"})
    told = {"licence": "Apache-2.0"}
    service.register(home, actor, name="triage", folder=folder, kind="base", card_extra=told)
    out = exporting.write_folder(home, actor, ref="triage@1", to=tmp_path / "out")
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\nlibrary_name: transformers\n")
    assert "\n# triage@1\n" in card
    assert (out / "README.maker.md").read_text() == "the maker's"
    with home.read() as uow:
        keys = {key.key_id: key.public for key in paper_service.signing_keys(uow, actor)}
    assert paper_service.verify_folder(out, keys).holds
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    (copy / "config.json").write_text("{}")
    (copy / "extra.txt").write_text("x")
    found = paper_service.verify_folder(copy, keys)
    assert found.problems == ("extra.txt is not in the manifest.", "config.json was changed.")
    (copy / manifest.FILE).unlink()
    assert not paper_service.verify_folder(copy, keys).signed


def test_a_scan_of_stored_files(home: Home, actor: Actor) -> None:
    ref = home.blobs.put_bytes(b"cposix\nsystem\n(S'x'\ntR.")
    files = (FileEntry(path="model/x.pkl", sha256=ref.sha256, size=ref.size),)
    service.register_stored(home, actor, name="net", files=files, lineage=(), card_extra={})
    with home.read() as uow:
        assert paper_service.papers(uow, actor, ref="net").scan is None
    report = paper_service.rescan(home, actor, ref="net").scan
    assert report is not None
    assert not report["safe"]
    assert report["findings"] == [
        {
            "path": "model/x.pkl",
            "format": "pickle",
            "imports": ["posix.system"],
            "dangerous": ["posix.system"],
        }
    ]
    assert list(home.folder("work", "scans").iterdir()) == []
