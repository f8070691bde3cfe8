from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.datasets.test_cli import call

from penstock.core import clock
from penstock.core.errors import Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.jobs import Worker
from penstock.core.scope import Actor, Role, Scope
from penstock.datasets import contract_service, expectations, service
from penstock.datasets.expectations import Outcome
from penstock.datasets.jobs import HANDLERS
from penstock.datasets.store.conditions import Expression

ROWS: list[dict[str, Any]] = [
    {"id": n, "text": f"row {n}", "label": "ab"[n % 2], "price": n / 2, "tags": ["x"] * (n % 3)}
    for n in range(40)
]


def expect(home: Home, actor: Actor, *checks: dict[str, Any], **more: Any) -> None:
    with home.begin() as uow:
        if service.store.get_dataset(uow.conn, actor.scope, "d") is None:
            service.create(uow, actor, name="d")
        plain = {"checks": list(checks), **more}
        contract_service.set_expectations(uow, actor, name="d", plain=plain)


def outcome(home: Home, actor: Actor, number: int | None = None) -> Outcome:
    with home.read() as uow:
        return contract_service.results(uow, actor, name="d", number=number)[0].verdict.outcomes[0]


UNMET: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"check": "type", "column": "id", "type": "integer"}, {"id": "x"}, "1 rows"),
    ({"check": "type", "column": "id", "type": "integer"}, {"id": True}, "1 rows"),
    ({"check": "required", "column": "text"}, {"text": ""}, "1 rows"),
    ({"check": "range", "column": "price", "min": 0, "max": 20}, {"price": 20.5}, "1 rows"),
    ({"check": "range", "column": "text", "min": "row"}, {"text": "roof"}, "1 rows"),
    ({"check": "length", "column": "text", "min": 5}, {"text": "row"}, "1 rows"),
    ({"check": "length", "column": "tags", "max": 2}, {"tags": [1, 2, 3]}, "1 rows"),
    ({"check": "regex", "column": "text", "pattern": "^row [0-9]+$"}, {"text": "row x"}, "1 rows"),
    ({"check": "allowed", "column": "label", "values": ["a", "b"]}, {"label": "c"}, "1 rows"),
    ({"check": "allowed", "column": "id", "values": list(range(50))}, {"id": True}, "1 rows"),
    ({"check": "condition", "sql": "price * 2 = id OR label = 'c'"}, {"price": 100}, "1 rows"),
    ({"check": "condition", "sql": "text REGEXP '^row'"}, {"text": "no"}, "1 rows"),
    ({"check": "unique", "columns": ["id"]}, {"id": 3}, "1 rows"),
    ({"check": "unique", "columns": ["id", "label"]}, {"id": 3, "label": "b"}, "1 rows"),
]
TABLES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        {"check": "columns", "columns": ["id", "text", "label", "price", "tags"], "extra": False},
        {"z": 1},
        "with z",
    ),
    ({"check": "missing", "column": "text", "max": 0.01}, {"text": None}, "2.44% of the rows have no value"),
    ({"check": "rows", "max": 40}, {}, "41 rows"),
]
FULL = {"id": 40, "text": "row 40", "label": "a", "price": 20.0, "tags": []}


@pytest.mark.parametrize(("check", "change", "reason"), [*UNMET, *TABLES])
def test_what_is_not_met_is_refused(
    sqlite_home: Home, owner: Actor, check: dict[str, Any], change: dict[str, Any], reason: str
) -> None:
    expect(sqlite_home, owner, check)
    assert service.ingest(sqlite_home, owner, name="d", source=ROWS).number == 1
    assert outcome(sqlite_home, owner, 1).met
    with pytest.raises(Invalid, match="does not meet 1 of 1 expectations") as told:
        service.ingest(sqlite_home, owner, name="d", source=[*ROWS, {**FULL, **change}])
    assert reason in str(told.value)
    found = outcome(sqlite_home, owner)
    assert (found.met, found.failed) == (False, 1)
    assert found.reason.startswith(reason)
    with sqlite_home.read() as uow:
        assert service.resolve(uow, owner, "d").number == 1
        refused = contract_service.results(uow, owner, name="d")[0]
    assert (refused.number, refused.state, refused.reason) == (0, "failed", "ingest")


@pytest.mark.parametrize(("check", "change", "_reason"), UNMET)
def test_rows_that_do_not_meet_are_quarantined(
    sqlite_home: Home, owner: Actor, check: dict[str, Any], change: dict[str, Any], _reason: str
) -> None:
    expect(sqlite_home, owner, check, enforce="quarantine")
    source = [*ROWS[:20], {**FULL, **change}, *ROWS[20:]]
    version = service.ingest(sqlite_home, owner, name="d", source=source)
    assert (version.rows, version.quarantined) == (40, 1)
    # What is left is exactly what the same rows without the bad one give.
    assert version.hash == service.ingest(sqlite_home, owner, name="other", source=left(check, source)).hash
    (gone,) = service.left_out(sqlite_home, owner, "d", step="expectations")
    assert gone.reason.startswith(check["check"])
    with sqlite_home.read() as uow:
        run = contract_service.results(uow, owner, name="d", number=1)[0]
    assert (run.state, run.verdict.quarantined) == ("quarantined", 1)


def left(check: dict[str, Any], source: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that should be left: of equal values the first."""
    if check["check"] != "unique":
        return ROWS
    seen: set[tuple[Any, ...]] = set()
    kept = []
    for row in source:
        values = tuple(row[name] for name in check["columns"])
        if values not in seen:
            kept.append(row)
        seen.add(values)
    return kept


def test_warnings_only_tell(sqlite_home: Home, owner: Actor) -> None:
    expect(sqlite_home, owner, {"check": "range", "column": "id", "max": 9}, enforce="warn")
    assert service.ingest(sqlite_home, owner, name="d", source=ROWS).rows == 40
    found = outcome(sqlite_home, owner, 1)
    assert (found.met, found.failed, found.of, len(found.examples)) == (False, 30, 40, 5)
    assert found.examples[0] == {"line": 11, "value": "10"}
    with sqlite_home.read() as uow:
        assert contract_service.results(uow, owner, name="d")[0].state == "warned"


def test_personal_data_among_examples_is_masked(sqlite_home: Home, owner: Actor) -> None:
    expect(sqlite_home, owner, {"check": "length", "column": "text", "max": 5, "action": "warn"})
    service.ingest(sqlite_home, owner, name="d", source=[{"text": "write to anna@example.org"}])
    assert "anna" not in str(outcome(sqlite_home, owner).examples)


def test_new_rows_may_not_repeat_old_ones(sqlite_home: Home, owner: Actor) -> None:
    expect(sqlite_home, owner, {"check": "unique", "columns": ["id"]}, enforce="quarantine")
    service.ingest(sqlite_home, owner, name="d", source=ROWS)
    version = service.append(sqlite_home, owner, name="d", source=[ROWS[3], {**FULL, "id": 99}])
    assert (version.rows, version.quarantined) == (41, 1)
    with pytest.raises(Invalid, match="No row of rows is left after recipe and expectations"):
        service.append(sqlite_home, owner, name="d", source=[ROWS[3]])


def test_a_column_that_is_not_there_meets_nothing(sqlite_home: Home, owner: Actor) -> None:
    expect(sqlite_home, owner, {"check": "range", "column": "prize", "min": 0})
    with pytest.raises(Invalid, match="there is no column 'prize'"):
        service.ingest(sqlite_home, owner, name="d", source=ROWS)
    expect(sqlite_home, owner, {"check": "condition", "sql": '"prize" > 0'})
    with pytest.raises(Invalid, match="there is no column 'prize'"):
        service.ingest(sqlite_home, owner, name="d", source=ROWS)


def test_freshness_is_about_today(home: Home, actor: Actor) -> None:
    check = {"check": "freshness", "column": "at", "hours": 24}
    expect(home, actor, check)
    fresh = (clock.now() - timedelta(hours=2)).isoformat()
    service.ingest(home, actor, name="d", source=[{"at": "2020-01-01"}, {"at": fresh}])
    with pytest.raises(Invalid, match="hours old"):
        service.ingest(home, actor, name="d", source=[{"at": "2020-01-01"}])
    with pytest.raises(Invalid, match="no row has a moment"):
        service.ingest(home, actor, name="d", source=[{"at": "yesterday"}])


def test_versions_are_checked_again_on_demand(home: Home, actor: Actor) -> None:
    service.ingest(home, actor, name="d", source=ROWS)
    with pytest.raises(Invalid, match="Nothing is expected of d"):
        contract_service.check(home, actor, "d@1")
    expect(home, actor, {"check": "unique", "columns": ["label"], "action": "quarantine"})
    expect(home, actor, {"check": "range", "column": "id", "max": 20})
    run = contract_service.check(home, actor, "d@1")
    assert (run.number, run.revision, run.state, run.reason) == (1, 2, "failed", "demand")
    assert run.verdict.outcomes[0].failed == 19
    with home.read() as uow:
        assert [run.id] == [one.id for one in contract_service.results(uow, actor, name="d", number=1)]
        assert [one.revision for one in contract_service.expectations(uow, actor, name="d", limit=9)] == [
            2,
            1,
        ]
        assert service.resolve(uow, actor, "d@1").rows == 40
    assert not list((home.path / "cache/checks").iterdir())


def test_versions_are_checked_again_on_schedule(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(home, actor, {"check": "rows", "min": 1}, every_hours=1)
    assert contract_service.enqueue_due(home) == []
    service.ingest(home, actor, name="d", source=ROWS)
    assert contract_service.enqueue_due(home) == []
    later = clock.now() + timedelta(hours=1, seconds=1)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: later)
        jobs = [*contract_service.enqueue_due(home), *contract_service.enqueue_due(home)]
        assert len({job.id for job in jobs}) == 1
        assert Worker(home, HANDLERS).tick()
        assert contract_service.enqueue_due(home) == []
    with home.read() as uow:
        runs = contract_service.results(uow, actor, name="d", number=1)
    assert [run.reason for run in runs] == ["schedule", "ingest"]


@pytest.mark.parametrize(
    ("plain", "told"),
    [
        ({"checks": [{"check": "nope"}]}, "nope"),
        ({"checks": [{"check": "range", "column": "a"}]}, "needs min, max or both"),
        ({"checks": [{"check": "range", "column": "a", "min": 3, "max": 1}]}, "above its max"),
        ({"checks": [{"check": "range", "column": "a", "min": "3", "max": 1}]}, "above its max"),
        ({"checks": [{"check": "rows", "min": 3, "action": "quarantine"}]}, "none to quarantine"),
        ({"checks": [{"check": "missing", "column": "a", "max": 2}]}, "between 0 and 1"),
        ({"checks": [{"check": "regex", "column": "a", "pattern": "("}]}, "pattern"),
        ({"checks": [{"check": "condition", "sql": "a >"}]}, "does not work"),
        ({"checks": [{"check": "unique", "columns": []}]}, "needs columns"),
        ({"checks": [], "enforce": "maybe"}, "maybe"),
        ({"checks": [{"check": "unique", "columns": ["a"]}] * 6}, "At most 5"),
    ],
)
def test_expectations_that_make_no_sense(
    sqlite_home: Home, owner: Actor, plain: dict[str, Any], told: str
) -> None:
    with sqlite_home.begin() as uow, pytest.raises(Invalid, match=told):
        service.create(uow, owner, name="d")
        contract_service.set_expectations(uow, owner, name="d", plain=plain)


@pytest.mark.parametrize(
    "sql",
    [
        "(SELECT count(*) FROM sqlite_master) = 0",
        "1) FROM (SELECT 1); DROP TABLE x; --",
        "load_extension('x') IS NULL",
        "(SELECT 1 FROM pragma_database_list) = 1",
        "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c) > 0",
        "length(randomblob(1000000000)) > 0",
        "a; ATTACH 'x.db' AS y",
        "",
        "x" * 3000,
    ],
)
def test_conditions_only_compute(sql: str) -> None:
    with pytest.raises(Invalid), Expression(sql) as found:
        found.holds({"a": 1})


def test_conditions_compute() -> None:
    with Expression("\"Best Answer\" IN ('x', 'y') AND n % 2 = 0 -- even") as found:
        assert found.columns == ("Best Answer", "n")
        assert found.holds({"Best Answer": "x", "n": 2})
        assert not found.holds({"Best Answer": "x", "n": 3})
        assert found.holds({"Best Answer": "x", "n": None})
    with Expression("json_extract(chat, '$[0].role') = 'user' AND flag") as found:
        assert found.holds({"chat": [{"role": "user"}], "flag": True})
        assert not found.holds({"chat": [{"role": "user"}], "flag": False})


def test_tags_name_versions(home: Home, actor: Actor) -> None:
    service.ingest(home, actor, name="d", source=ROWS)
    service.ingest(home, actor, name="d", source=ROWS[:5])
    with home.begin() as uow:
        contract_service.set_tag(uow, actor, name="d", tag="prod", number=1)
        assert service.resolve(uow, actor, "d@prod").number == 1
        contract_service.set_tag(uow, actor, name="d", tag="prod", number=2)
        assert service.resolve(uow, actor, "d@prod").number == 2
        for tag in ("latest", "3", "a b", ""):
            with pytest.raises(Invalid):
                contract_service.set_tag(uow, actor, name="d", tag=tag, number=1)
        with pytest.raises(NotFound):
            contract_service.set_tag(uow, actor, name="d", tag="x", number=9)
        contract_service.remove_tag(uow, actor, name="d", tag="prod")
        with pytest.raises(Invalid):
            service.resolve(uow, actor, "d@prod")
        with pytest.raises(NotFound):
            contract_service.remove_tag(uow, actor, name="d", tag="prod")
    assert len(list(service.rows(home, actor, "d@2"))) == 5


def test_others_see_and_change_nothing(home: Home, actor: Actor) -> None:
    expect(home, actor, {"check": "rows", "min": 1})
    service.ingest(home, actor, name="d", source=ROWS)
    viewer = Actor(id="v", name="v", role=Role.VIEWER, scope=actor.scope)
    other = Actor(id="o", name="o", role=Role.OWNER, scope=Scope("default", "other"))
    with home.begin() as uow:
        for act in (
            lambda: contract_service.set_expectations(uow, viewer, name="d", plain={"checks": []}),
            lambda: contract_service.set_tag(uow, viewer, name="d", tag="t", number=1),
            lambda: contract_service.remove_tag(uow, viewer, name="d", tag="t"),
            lambda: contract_service.check_later(uow, viewer, "d@1"),
        ):
            with pytest.raises(Denied):
                act()
        with pytest.raises(NotFound):
            contract_service.expectations(uow, other, name="d")
        with pytest.raises(NotFound):
            contract_service.results(uow, other, name="d", number=1)


def test_over_http(home: Home, client: TestClient) -> None:
    url = "/api/v1/datasets/mails"
    client.post("/api/v1/datasets", json={"name": "mails"})
    assert client.get(f"{url}/expectations").json()["revision"] == 0
    checks = [{"check": "range", "column": "n", "max": 5, "action": "warn"}]
    put = client.put(f"{url}/expectations", json={"checks": checks, "every_hours": 2})
    assert (put.status_code, put.json()["revision"]) == (200, 1), put.text
    body = "".join(f'{{"n": {n}}}\n' for n in range(9))
    made = client.post(f"{url}/versions", params={"filename": "m.jsonl"}, content=body)
    assert made.status_code == 201, made.text
    (run,) = client.get(f"{url}/versions/1/expectations").json()["items"]
    assert (run["state"], run["outcomes"][0]["label"], run["outcomes"][0]["failed"]) == (
        "warned",
        "range n",
        3,
    )
    queued = client.post(f"{url}/versions/1/expectations")
    assert queued.status_code == 202
    assert Worker(home, HANDLERS).tick()
    assert len(client.get(f"{url}/expectations/results").json()["items"]) == 2
    assert len(client.get(f"{url}/expectations/history").json()["items"]) == 1
    assert client.put(f"{url}/tags/prod", json={"version": 1}).json()["number"] == 1
    assert client.get(f"{url}/versions/1").json()["tags"] == ["prod"]
    assert client.get(f"{url}/tags").json()["items"][0]["tag"] == "prod"
    assert client.delete(f"{url}/tags/prod").status_code == 204
    assert client.put(f"{url}/expectations", json={"checks": [{"check": "x"}]}).status_code in (400, 422)


def test_the_commands(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    call("ingest", "d", tmp_path / "rows.jsonl")
    assert "Nothing is expected" in call("expect", "d")
    (tmp_path / "e.yaml").write_text("checks:\n- {check: range, column: n, max: 1}\n")
    assert "range n" in call("expect", "d", tmp_path / "e.yaml")
    assert "NOT MET" in call("check", "d", code=3)
    assert "d@prod is d@1" in call("tag", "d@1", "prod")
    assert "d@1" in call("show", "d@prod")


def test_labels() -> None:
    assert expectations.label({"check": "unique", "columns": ["a", "b"]}) == "unique a, b"
    assert expectations.label({"check": "rows", "min": 1}) == "rows"
