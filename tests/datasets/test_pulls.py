import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.datasets.test_cli import call

from penstock.core import plugins
from penstock.core.errors import Denied, Invalid, NotFound, Upstream
from penstock.core.home import Home
from penstock.core.jobs import Worker
from penstock.core.scope import Actor, Role
from penstock.datasets import documents, pulls, service
from penstock.datasets.importers import huggingface, pdf
from penstock.datasets.jobs import HANDLERS
from penstock.datasets.settings import DatasetsSettings
from penstock.datasets.sources import Limits
from penstock.datasets.store import foreign


@pytest.fixture
def importers(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"pdf": pdf.pages, "huggingface": huggingface.rows}
    load = plugins.load

    def patched(group: str, name: str) -> Any:
        return found[name] if group == "importers" else load(group, name)

    monkeypatch.setattr(plugins, "load", patched)


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE tickets (id INTEGER, text TEXT, price NUMERIC, day DATE)")
    rows = [(n, f"50% of :x {n}", n / 4, "2024-01-02") for n in range(5000, 0, -1)]
    connection.executemany("INSERT INTO tickets VALUES (?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return f"sqlite:///{path}"


def test_rows_of_a_query(sqlite_home: Home, owner: Actor, database: str) -> None:
    query = "SELECT id, text, price FROM tickets WHERE text LIKE '50% of :x %' AND id <= 3000;"
    feed = foreign.feed(database, query, key="id")
    version = service.ingest(sqlite_home, owner, name="d", source=feed, key="id")
    assert version.rows == 3000
    assert next(iter(service.rows(sqlite_home, owner, "d"))) == {
        "id": 1,
        "text": "50% of :x 1",
        "price": 0.25,
    }
    assert version.source.detail["query"] == query
    assert version.lineage[0].kind == "sql"
    assert [row["id"] for row in feed.rows(2998)] == [2999, 3000]


def test_a_query_cannot_write(database: str) -> None:
    for query in ("DELETE FROM tickets", "DELETE FROM tickets RETURNING id"):
        with pytest.raises((Invalid, Upstream), match=r"readonly|query_only|attempt to write"):
            list(foreign.feed(database, query).rows(0))
    assert len(list(foreign.feed(database, "SELECT * FROM tickets").rows(0))) == 5000


def test_what_is_wrong_is_told_without_the_password(database: str) -> None:
    with pytest.raises((Invalid, Upstream), match="no such table"):
        list(foreign.feed(database, "SELECT * FROM nowhere").rows(0))
    with pytest.raises(Invalid, match="no dialect"):
        list(foreign.feed("nodb://u:geheim@h/d", "SELECT 1").rows(0))
    with pytest.raises(Invalid) as told:
        foreign.feed("geheim", "SELECT 1")
    assert "geheim" not in str(told.value)
    feed = foreign.feed("postgresql+psycopg://u:geheim@127.0.0.1:1/d?connect_timeout=2", "SELECT 1")
    assert feed.name == "postgresql+psycopg://127.0.0.1:1/d"
    assert "geheim" not in repr(feed)
    with pytest.raises(Upstream) as refused:
        list(feed.rows(0))
    assert "geheim" not in str(refused.value)


def test_a_postgresql_database(postgres_url: str) -> None:
    feed = foreign.feed(
        postgres_url.replace("postgresql://", "postgresql+psycopg://"),
        "SELECT n AS id, 'a:b%' AS text, now() AS at FROM generate_series(1, 3000) n",
        key="id",
    )
    rows = list(feed.rows(2998))
    assert [(row["id"], row["text"]) for row in rows] == [(2999, "a:b%"), (3000, "a:b%")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("Straße")
    (root / "b.md").write_text("intro\n\n## The *title* ##\n\ntext")
    page = (
        "<html><head><title>A &amp; B</title><style>p{}</style></head><body><h1>Hi</h1><p>one<b> two</b></p>"
    )
    (root / "sub/c.html").write_text(
        page + "<script>var x = '<p>no</p>'</script><ul><li>x</li></ul></body></html>"
    )
    (root / "d.txt").write_bytes("Müller".encode("cp1252"))
    (root / "e.bin").write_bytes(b"\0\1")
    (root / ".hidden.txt").write_text("no")
    (root / "f.txt").write_bytes(b"a\0b")
    (tmp_path / "outside.txt").write_text("secret")
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    return root


def test_a_folder_of_documents(sqlite_home: Home, owner: Actor, folder: Path) -> None:
    feed = documents.feed(folder, Limits())
    version = service.ingest(sqlite_home, owner, name="d", source=feed, on_bad_rows="quarantine", key="path")
    rows = list(service.rows(sqlite_home, owner, "d"))
    assert [(row["path"], row["kind"], row["title"], row["text"]) for row in rows] == [
        ("a.txt", "text", None, "Straße"),
        ("b.md", "markdown", "The *title*", "intro\n\n## The *title* ##\n\ntext"),
        ("d.txt", "text", None, "Müller"),
        ("sub/c.html", "html", "A & B", "Hi\n\none two\n\nx"),
    ]
    assert [(row.line, row.excerpt) for row in service.left_out(sqlite_home, owner, "d")] == [(4, "f.txt")]
    assert version.source.detail["files_of_other_kinds"] == "1"
    with pytest.raises(NotFound):
        documents.feed(folder / "none", Limits())
    with pytest.raises(Invalid, match="holds no document"):
        documents.feed(folder, Limits(), pattern="*.csv")


def one_page_pdf(text: str) -> bytes:
    """Return a PDF file of one page, with the table of offsets that the format asks for."""
    drawn = f"BT /F1 24 Tf 20 100 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    data, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 6\n0000000000 65535 f \n"
    trailer = b"trailer<</Root 1 0 R/Size 6>>\nstartxref\n%d\n%%%%EOF\n" % len(data)
    return data + head + table + trailer


@pytest.mark.usefixtures("importers")
def test_pdf_files(sqlite_home: Home, owner: Actor, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.pdf").write_bytes(one_page_pdf("Hello from PDF"))
    (tmp_path / "docs/b.pdf").write_bytes(b"%PDF-1.4 nothing")
    feed = documents.feed(tmp_path / "docs", Limits())
    version = service.ingest(sqlite_home, owner, name="d", source=feed, on_bad_rows="quarantine")
    (row,) = service.rows(sqlite_home, owner, "d")
    assert (row["text"], row["pages"], version.quarantined) == ("Hello from PDF", 1, 1)


@pytest.mark.usefixtures("importers")
def test_rows_of_the_hub(
    sqlite_home: Home, owner: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "one"}\n{"text": "two"}\n')
    source = {"repository": "json", "data_files": str(file)}
    assert list(huggingface.rows(source, 0)) == [{"text": "one"}, {"text": "two"}]
    assert list(huggingface.rows(source, 1)) == [{"text": "two"}]
    with pytest.raises(Invalid, match="cannot be read"):
        list(huggingface.rows({**source, "split": "none"}, 0))
    feed = pulls.hub_feed(pulls.FromHub(repository="org/name", revision="abc"))
    assert (feed.name, bool(feed.fingerprint)) == ("hf://org/name", True)
    assert not pulls.hub_feed(pulls.FromHub(repository="org/name")).fingerprint


def settings_of(home: Home, monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    section = home.settings.section

    def patched(cls: type[Any]) -> Any:
        return DatasetsSettings(**values) if cls is DatasetsSettings else section(cls)

    monkeypatch.setattr(home.settings, "section", patched)


def test_only_owners_pull_and_only_what_the_settings_name(
    home: Home, actor: Actor, client: TestClient, monkeypatch: pytest.MonkeyPatch, database: str, folder: Path
) -> None:
    sql = {"connection": "shop", "query": "SELECT id, text FROM tickets", "key": "id"}
    url = "/api/v1/datasets/d/pull"
    assert client.post(url, json={"sql": sql}).status_code in (400, 422)
    monkeypatch.setenv("SHOP_URL", database)
    settings_of(home, monkeypatch, connections={"shop": "env:SHOP_URL"}, pull_folders=[str(folder.parent)])
    assert client.post(url, json={"sql": sql, "folder": {"path": "/"}}).status_code in (400, 422)
    assert client.post(url, json={"folder": {"path": "/"}}).status_code == 403
    assert client.post(url, json={"folder": {"path": f"{folder}/../.."}}).status_code == 403
    admin = Actor(id="k", name="k", role=Role.ADMIN, scope=actor.scope)
    with pytest.raises(Denied, match="role owner"):
        pulls.start(home, admin, pulls.parse({"dataset": "d", "sql": sql}))
    queued = client.post(url, json={"sql": sql, "key": "id", "splits": {"a": 0.5, "b": 0.5}})
    assert queued.status_code == 202, queued.text
    worker = Worker(home, HANDLERS)
    assert worker.tick()
    job = client.get(f"/api/v1/jobs/{queued.json()['job']}").json()
    assert (job["state"], job["result"]) == ("succeeded", {"version": "d@1"}), job
    version = client.get("/api/v1/datasets/d/versions/1").json()
    assert (version["rows"], version["source"]["detail"]["connection"]) == (5000, "shop")


def test_the_command(tmp_path: Path, database: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", database)
    query = "SELECT * FROM tickets"
    assert "d@1: 5,000 rows from sqlite" in call("pull", "d", "--sql", query, "--url-env", "SHOP_URL")
    said = call("pull", "docs", "--folder", folder, "--on-bad-rows", "quarantine")
    assert "docs@1: 4 rows from docs" in said
    call("pull", "d", "--sql", query, code=1)
    call("pull", "d", code=1)
