import csv
import errno
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from penstock.core import lineage
from penstock.core.errors import Conflict, Denied, Invalid, NotFound, StorageFull
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor, Role, Scope
from penstock.datasets import recipe, service, table
from penstock.datasets.model import ColumnType, SourceFile, SplitPlan

ROWS: list[dict[str, Any]] = [
    {
        "id": f"r{n}",
        "text": f"row number {n}",
        "label": "ab"[n % 2],
        "n": n,
        "chat": [{"role": "user", "content": "hi"}],
    }
    for n in range(50)
]


def read(home: Home, actor: Actor, ref: str, **options: Any) -> list[dict[str, Any]]:
    return list(service.rows(home, actor, ref, **options))


def test_rows_come_back_as_they_were(home: Home, actor: Actor) -> None:
    rows = [
        {
            "s": "é\n\"'",
            "i": -(2**63),
            "f": 0.1,
            "b": False,
            "l": [1, {"a": None}],
            "Best Answer": "x",
            'q"u,;': "y",
        },
        {"s": None, "extra": 1},
    ]
    version = service.ingest(home, actor, name="d", source=rows)
    assert version.ref == "d@1"
    assert [column.name for column in version.schema] == [
        "s",
        "i",
        "f",
        "b",
        "l",
        "Best Answer",
        'q"u,;',
        "extra",
    ]
    every = {column.name: None for column in version.schema}
    assert read(home, actor, "d") == [{**every, **row} for row in rows]


def test_splits_paging_and_offsets(home: Home, actor: Actor) -> None:
    version = service.ingest(home, actor, name="d", source=ROWS, splits={"train": 0.6, "test": 0.4}, key="id")
    assert sum(version.splits.values()) == 50
    test = read(home, actor, "d@1", split="test")
    assert len(test) == version.splits["test"]
    assert test == sorted(test, key=lambda row: row["n"])
    assert read(home, actor, "d@1", split="test", limit=3, offset=2) == test[2:5]
    assert read(home, actor, "d@1", split="test", offset=4) == test[4:]
    assert read(home, actor, "d@latest", offset=47) == ROWS[47:]
    assert read(home, actor, "d", limit=0) == []
    stored = list(service.stored_rows(home, actor, "d", limit=2, offset=10))
    assert [(row.position, row.key) for row in stored] == [(10, "r10"), (11, "r11")]
    with pytest.raises(Invalid, match="no split 'tset'"):
        service.rows(home, actor, "d", split="tset")
    with pytest.raises(Invalid, match="negative"):
        service.rows(home, actor, "d", offset=-1)


def test_many_windows_keep_their_order(home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_WINDOW", 7)
    monkeypatch.setattr(table, "_BATCH_ROWS", 9)
    service.ingest(home, actor, name="d", source=ROWS)
    assert read(home, actor, "d") == ROWS
    assert read(home, actor, "d", offset=13) == ROWS[13:]


def test_the_same_content_is_the_same_version(home: Home, actor: Actor) -> None:
    first = service.ingest(home, actor, name="d", source=ROWS)
    again = service.ingest(home, actor, name="d", source=iter(ROWS), parents=[Link("trace", "trc_1")])
    assert again == first
    other = service.ingest(home, actor, name="d", source=list(reversed(ROWS)))
    assert (other.number, other.hash == first.hash) == (2, False)
    split = service.ingest(home, actor, name="d", source=ROWS, splits={"all": 1.0})
    assert split.number == 3
    assert service.ingest(home, actor, name="d", source=ROWS).number == 1
    with home.read() as uow:
        up = lineage.neighbours(uow.conn, actor.scope, "dataset_version", "d@1")
        assert [edge.parent_ref for edge in up] == ["trc_1"]
        assert [v.number for v in service.list_versions(uow, actor, name="d")] == [3, 2, 1]
        assert service.resolve(uow, actor, "d").number == 3
        assert service.resolve(uow, actor, first.id) == first


def test_old_versions_stay_readable(home: Home, actor: Actor) -> None:
    for size in (10, 20, 30):
        service.ingest(home, actor, name="d", source=[{**row, f"c{size}": 1} for row in ROWS[:size]])
    assert [len(read(home, actor, f"d@{number}")) for number in (1, 2, 3)] == [10, 20, 30]
    config = DeltaTable(str(home.path / "datasets/default/default/d/table")).metadata().configuration
    assert config["delta.enableExpiredLogCleanup"] == "false"


def test_bad_rows_fail_by_default(home: Home, actor: Actor, tmp_path: Path) -> None:
    path = tmp_path / "mails.jsonl"
    path.write_text('{"a": 1}\nnot json\n{"a": 2}\n[]\n')
    with pytest.raises(Invalid) as caught:
        service.ingest(home, actor, name="d", source=path)
    assert "mails.jsonl: 2 of 4 records are malformed (line 2: " in caught.value.message
    assert "line 4: an array" in caught.value.message
    assert "on_bad_rows=quarantine" in caught.value.hint
    assert caught.value.details["bad_rows"] == 2
    with home.read() as uow:
        assert service.list_datasets(uow, actor) == []
    kept = service.ingest(home, actor, name="d", source=path, on_bad_rows="quarantine")
    assert (kept.rows, kept.quarantined, kept.source.rows) == (2, 2, 2)
    bad = list(service.left_out(home, actor, "d", step="read"))
    assert [(row.line, row.excerpt) for row in bad] == [(2, "not json"), (4, "[]")]
    path.write_text("x\ny\n")
    with pytest.raises(Invalid, match="2 of 2 records are malformed"):
        service.ingest(home, actor, name="d", source=path, on_bad_rows="quarantine")


def test_a_recipe_is_recorded_and_leaves_out_what_it_says(home: Home, actor: Actor) -> None:
    steps = recipe.parse([{"step": "exact_duplicates", "columns": ["text"]}, {"step": "redact"}])
    rows = [*ROWS, {"id": "x", "text": "row number 3"}, {"id": "y", "text": "mail a@example.org"}]
    version = service.ingest(home, actor, name="d", source=rows, recipe=steps)
    assert (version.rows, version.removed, version.quarantined) == (51, 1, 0)
    assert version.recipe is not None
    assert recipe.parse(version.recipe) == steps
    assert [report["step"] for report in version.recipe_report] == ["exact_duplicates", "redact"]
    assert version.recipe_report[1]["counts"] == {"email": 1}
    assert version.profile["before"]["personal_data"] == [{"email": 1}, {}]
    out = list(service.left_out(home, actor, "d"))
    assert [(entry.line, entry.kept_line) for entry in out] == [(51, 4)]
    assert list(service.left_out(home, actor, "d", offset=1)) == []
    # Replaying the recorded recipe on the same rows gives the same version.
    assert service.ingest(home, actor, name="d", source=rows, recipe=recipe.parse(version.recipe)) == version
    with pytest.raises(Invalid, match="No row of rows is left after the recipe"):
        service.ingest(
            home, actor, name="d", source=ROWS, recipe=recipe.parse([{"step": "quality", "min_words": 99}])
        )
    with pytest.raises(Invalid, match=r"reads the column 'txt'.*Did you mean 'text'"):
        service.ingest(
            home, actor, name="d", source=ROWS, recipe=recipe.parse([{"step": "redact", "columns": ["txt"]}])
        )


def test_keys(home: Home, actor: Actor) -> None:
    with pytest.raises(Invalid, match="'a' is on line 1 and again on line 3"):
        service.ingest(home, actor, name="d", source=[{"k": "a"}, {"k": "b"}, {"k": "a"}], key="k")
    with pytest.raises(Invalid, match="Line 2: the key column 'k' holds None"):
        service.ingest(home, actor, name="d", source=[{"k": "a"}, {"x": "b"}], key="k")
    with pytest.raises(Invalid, match="key column 'z' is not there"):
        service.ingest(home, actor, name="d", source=[{"k": "a"}], key="z")
    version = service.ingest(home, actor, name="d", source=[{"k": 7}, {"k": 7}])
    keys = [row.key for row in service.stored_rows(home, actor, version.ref)]
    assert keys[1] == f"{keys[0]}:2"


def test_append(home: Home, actor: Actor) -> None:
    with pytest.raises(NotFound):
        service.append(home, actor, name="d", source=ROWS)
    plan = SplitPlan(fractions={"train": 0.5, "test": 0.5}, seed=3)
    first = service.ingest(home, actor, name="d", source=ROWS[:30], key="id", splits=plan)
    before = {row.key: row.split for row in service.stored_rows(home, actor, "d@1")}
    second = service.append(home, actor, name="d", source=ROWS[30:])
    assert (second.number, second.rows, second.key) == (2, 50, "id")
    after = {row.key: row.split for row in service.stored_rows(home, actor, "d@2")}
    assert {key: after[key] for key in before} == before
    assert Link("dataset_version", "d@1", "base") in second.lineage
    assert service.ingest(home, actor, name="d", source=ROWS, key="id", splits=plan) == second
    assert first.schema == second.schema
    with pytest.raises(Invalid, match="column 'new' that the dataset lacks"):
        service.append(home, actor, name="d", source=[{"id": "z", "new": 1}])
    with pytest.raises(Invalid, match="'n' holds string in the new rows and integer"):
        service.append(home, actor, name="d", source=[{"id": "z", "n": "one"}])
    with pytest.raises(Invalid, match="'r1' is on line 0"):
        service.append(home, actor, name="d", source=[{"id": "r1"}])


def test_diff(home: Home, actor: Actor) -> None:
    service.ingest(home, actor, name="d", source=ROWS, key="id")
    changed = [{**row, "label": "new" if row["n"] == 3 else row["label"], "more": 1} for row in ROWS[2:]]
    service.ingest(
        home,
        actor,
        name="d",
        source=[
            *ROWS[2:3],
            *({**r, "label": "new"} if r["n"] == 3 else r for r in ROWS[3:]),
            {"id": "z", "n": 1.5},
        ],
        key="id",
    )
    found = service.diff(home, actor, "d@1", "d@2")
    assert (found.added, found.removed, found.changed, found.unchanged) == (1, 2, 1, 47)
    assert found.columns_retyped == ("n",)
    assert [example["change"] for example in found.examples] == ["removed", "removed", "changed", "added"]
    service.ingest(home, actor, name="d", source=changed, key="id")
    assert service.diff(home, actor, "d@1", "d@3").columns_added == ("more",)
    assert service.diff(home, actor, "d@1", "d@1").unchanged == 50


def test_provenance(home: Home, actor: Actor, tmp_path: Path) -> None:
    path = tmp_path / "up_1"
    path.write_text("a,b\n1,x\n")
    source = SourceFile(path=path, name="mails.csv")
    version = service.ingest(home, actor, name="d", source=source, format="csv", description="Mails of 2026")
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (version.source.name, version.source.sha256, version.source.format) == (
        "mails.csv",
        checksum,
        "csv",
    )
    assert version.schema[0].type is ColumnType.INTEGER
    with home.read() as uow:
        edges = lineage.neighbours(uow.conn, actor.scope, "dataset_version", "d@1")
        assert [(edge.parent_kind, edge.parent_ref) for edge in edges] == [("file", f"sha256:{checksum}")]
        text = service.data_card(uow, actor, "d@1")
        assert service.profile(uow, actor, "d")["rows"] == 1
    for piece in ("# d@1", "Mails of 2026", checksum, version.hash, "| `a` | integer |"):
        assert piece in text


def test_export(home: Home, actor: Actor, tmp_path: Path) -> None:
    service.ingest(home, actor, name="d", source=ROWS, splits={"a": 0.5, "b": 0.5})
    assert service.export_file(home, actor, "d", tmp_path / "x.jsonl") == 50
    assert [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()] == ROWS
    written = service.export_file(home, actor, "d", tmp_path / "x.csv", format="csv", split="a")
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == written
    assert json.loads(rows[0]["chat"]) == ROWS[0]["chat"]
    with pytest.raises(Conflict, match="exists already"):
        service.export_file(home, actor, "d", tmp_path / "x.csv")
    # An exported file is the same content again.
    assert service.ingest(home, actor, name="e", source=tmp_path / "x.jsonl").rows == 50


def test_projects_and_tenants_do_not_see_each_other(home: Home, actor: Actor) -> None:
    mine = service.ingest(home, actor, name="d", source=ROWS)
    for scope in (Scope("default", "other"), Scope("other", "default")):
        stranger = Actor(id="x", name="x", role=Role.OWNER, scope=scope)
        with home.read() as uow:
            assert service.list_datasets(uow, stranger) == []
            for ref in ("d@1", "d", mine.id):
                with pytest.raises(NotFound):
                    service.resolve(uow, stranger, ref)
        for verb in (service.rows, service.left_out):
            with pytest.raises(NotFound):
                verb(home, stranger, "d@1")
        theirs = service.ingest(home, stranger, name="d", source=ROWS[:5])
        assert (theirs.ref, theirs.id == mine.id) == ("d@1", False)
    assert len(read(home, actor, "d@1")) == 50


def test_roles(home: Home, actor: Actor) -> None:
    service.ingest(home, actor, name="d", source=ROWS)
    viewer = Actor(id="v", name="v", role=Role.VIEWER)
    assert len(read(home, viewer, "d")) == 50
    with pytest.raises(Denied):
        service.ingest(home, viewer, name="d", source=ROWS)
    with pytest.raises(Denied):
        service.rows(home, Actor(id="g", name="g", role=Role.GATEWAY), "d")


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 101, "a b"])
def test_names_that_would_leave_the_folder_are_refused(home: Home, actor: Actor, name: str) -> None:
    with pytest.raises(Invalid, match="is not a dataset name"):
        service.ingest(home, actor, name=name, source=ROWS)


@pytest.mark.parametrize("ref", ["d@0", "d@x", "d@-1", "d@99999999999"])
def test_refs_that_are_none(home: Home, actor: Actor, ref: str) -> None:
    with home.read() as uow, pytest.raises(Invalid, match="is not a dataset version"):
        service.resolve(uow, actor, ref)


def test_create_and_list(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        service.create(uow, actor, name="empty", description="Nothing yet")
        with pytest.raises(Conflict):
            service.create(uow, actor, name="empty")
    service.ingest(home, actor, name="full", source=ROWS)
    with home.read() as uow:
        found = service.list_datasets(uow, actor)
        assert [(d.name, d.latest, d.rows) for d in found] == [("empty", 0, 0), ("full", 1, 50)]
        assert [d.name for d in service.list_datasets(uow, actor, text="NOTHING")] == ["empty"]
        assert [d.name for d in service.list_datasets(uow, actor, after="empty")] == ["full"]
        with pytest.raises(NotFound):
            service.list_versions(uow, actor, name="none")


def test_a_failing_source_leaves_nothing_behind(home: Home, actor: Actor) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield {"a": 1}
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        service.ingest(home, actor, name="d", source=broken())
    with home.read() as uow:
        assert service.list_datasets(uow, actor) == []
    assert not (home.path / "datasets/default/default/d/work").exists()
    assert not (home.path / "datasets/default/default/d/table").exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "is full; nothing was kept"),
        (OSError(errno.EROFS, "Read-only file system"), "cannot be written .read-only"),
        (DeltaError("Generic LocalFileSystem error: No space left on device (os error 28)"), "is full"),
    ],
)
def test_a_full_or_read_only_disk_is_one_sentence(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def full(*_args: Any, **_options: Any) -> None:
        raise error

    service.ingest(home, actor, name="d", source=ROWS)
    with monkeypatch.context() as patch:
        patch.setattr(table, "write_deltalake", full)
        with pytest.raises(StorageFull, match=said):
            service.ingest(home, actor, name="d", source=ROWS[:5])
    with home.read() as uow:
        assert service.resolve(uow, actor, "d").number == 1
    assert read(home, actor, "d") == ROWS


def test_a_commit_whose_record_was_lost_is_taken_up(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_args: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    service.ingest(home, actor, name="d", source=ROWS[:5])
    with monkeypatch.context() as patch:
        patch.setattr(service, "register", killed)
        with pytest.raises(KeyboardInterrupt):
            service.ingest(home, actor, name="d", source=ROWS)
    with home.read() as uow:
        assert service.resolve(uow, actor, "d").number == 1
    assert read(home, actor, "d") == ROWS[:5]
    again = service.ingest(home, actor, name="d", source=ROWS)
    assert (again.number, again.table_version) == (2, 1)
    assert read(home, actor, "d") == ROWS
