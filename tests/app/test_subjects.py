"""Everything about a user or session, in every slice that keeps something, over HTTP and the command line."""

import json
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from penstock.app.subjects import HANDLERS
from penstock.cli import subjects as subjects_cli
from penstock.core import clock, ids, subjects
from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.core.subjects import Subject, SubjectKind
from penstock.datasets import service as datasets
from penstock.feedback import service as feedback
from penstock.gateway.alerting import store as alerts
from penstock.gateway.alerting.model import Alert
from penstock.gateway.limits import forgetting as accounts
from penstock.gateway.limits import service as limits
from penstock.gateway.limits.model import AccountKey, Budget, Period
from penstock.gateway.limits.model import SubjectKind as Kind
from penstock.gateway.limits.store import ledger
from penstock.mlflow.model import Assessment, EvalRecord, EvalSet, TraceNote
from penstock.mlflow.store import evalsets, notes
from penstock.traces import service as traces
from tests.traces.build import call

URL = "/api/v1/subjects"


def chat(**given: Any) -> Any:
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    answer = {"choices": [{"message": {"role": "assistant", "content": "ho"}, "finish_reason": "stop"}]}
    return call(input=msgspec.json.encode(asked), output=msgspec.json.encode(answer), **given)


class Loop:
    """One trace of Anni's session and one of Bob's, judged, noted, and made into datasets."""

    def __init__(self, home: Home, actor: Actor) -> None:
        self.home, self.actor = home, actor
        self.anni, self.bob = (
            chat(user="anni", session="s1", route="chat"),
            chat(user="bob", session="s2", route="chat"),
        )
        traces.ingest(home, actor.scope, [self.anni, self.bob])
        with home.begin() as uow:
            for span in (self.anni, self.bob):
                feedback.give(
                    uow, actor, trace_id=span.trace_id, name="correction", value="hello " + span.user
                )
            feedback.give(uow, actor, trace_id=self.bob.trace_id, name="thumb", value="up", subject="anni")
            self.note(uow.conn, actor.scope)
        self.spend()
        self.both = feedback.build_dataset(home, actor, name="fixes", kind="sft")
        rows = [{"id": "1", "text": "x"}]
        self.other = datasets.ingest(home, actor, name="other", source=rows, key="id")

    def spend(self) -> None:
        with self.home.begin() as uow:
            each = Budget(name="each", kind=Kind.USER, subject="*", period=Period.DAY, usd=1.0)
            rule = limits.put_budget(uow, self.actor, each).id
            for user in ("anni", "bob"):
                ledger.open_account(uow.conn, AccountKey(rule, user, "2020-02-02"), "les_1")
                told = {"budget": "each", "kind": "user", "subject": user, "period": "2020-02-02"}
                alert = Alert(id=user, at=clock.now(), **told, fraction=1.0, spent_usd=1.0, limit_usd=1.0)
                alerts.add_alert(uow.conn, self.actor.scope, alert)

    def note(self, conn: Any, scope: Scope) -> None:
        for span in (self.anni, self.bob):
            notes.put_note(conn, scope, TraceNote(trace_id=span.trace_id, experiment_id="1", state="OK"))
            judged = Assessment(
                id=f"a-{span.user}", trace_id=span.trace_id, name="ok", body={"value": span.user}
            )
            notes.put_assessment(conn, scope, judged)
        self.unseen = ids.new_trace_id()
        metadata = {"mlflow.trace.user": "anni", "mlflow.trace.session": 's"1'}
        early = TraceNote(trace_id=self.unseen, experiment_id="1", state="OK", metadata=metadata)
        notes.put_note(conn, scope, early)
        loud = {"mlflow.trace.user": "ANNI"}
        notes.put_note(conn, scope, TraceNote(trace_id=ids.new_trace_id(), experiment_id="1", metadata=loud))
        self.set = EvalSet(id="d-1", name="golden", created_at=clock.now(), updated_at=clock.now())
        evalsets.insert(conn, scope, self.set)
        records = [
            EvalRecord(id=f"r-{span.user}", hash=span.user, body={"source_id": f"tr-{span.trace_id}"})
            for span in (self.anni, self.bob)
        ]
        records.append(EvalRecord(id="r-typed", hash="typed", body={"inputs": {}}))
        evalsets.put_records(conn, self.set, records)

    def left(self) -> dict[str, Any]:
        with self.home.read() as uow:
            page = traces.list_traces(uow, self.actor)
            items = feedback.list_feedback(uow, self.actor)
            seen = [self.anni.trace_id, self.bob.trace_id, self.unseen]
            noted = notes.notes_of(uow.conn, self.actor.scope, seen)
            judged = notes.assessments_of(uow.conn, self.actor.scope, seen)
            records = evalsets.list_records(uow.conn, self.set, after="", limit=10)
            return {
                "users": sorted(trace.user or "" for trace in page.items),
                "feedback": sorted(item.text or item.name for item in items),
                "notes": len(noted),
                "assessments": sorted(one.id for some in judged.values() for one in some),
                "records": sorted(record.id for record in records),
                "alerts": [each.subject for each in alerts.list_alerts(uow.conn, self.actor.scope, 9)],
                "accounts": accounts.users_of(uow, self.actor.scope),
            }


@pytest.fixture
def loop(home: Home, actor: Actor) -> Loop:
    return Loop(home, actor)


BEFORE = {
    "users": ["anni", "bob"],
    "feedback": ["hello anni", "hello bob", "thumb"],
    "notes": 3,
    "assessments": ["a-anni", "a-bob"],
    "records": ["r-anni", "r-bob", "r-typed"],
    "alerts": ["bob", "anni"],
    "accounts": ["anni", "bob"],
}
AFTER = {
    "users": ["bob"],
    "feedback": ["hello bob"],
    "notes": 1,
    "assessments": ["a-bob"],
    "records": ["r-bob", "r-typed"],
    "alerts": ["bob"],
    "accounts": ["bob"],
}
COUNTS = {
    "mlflow": {"notes": 2, "assessments": 1, "dataset records": 1},
    "feedback": {"judgements": 2, "queue_items": 0},
    "gateway": {"alerts": 1, "accounts": 1},
    "traces": {"traces": 1, "spans": 1, "logs": 0},
}


def test_a_user_goes_from_every_slice(client: TestClient, loop: Loop) -> None:
    made = [{"kind": "dataset_version", "ref": "fixes@1"}]
    dry = client.post(f"{URL}/erase", json={"user": "anni", "dry_run": True})
    assert dry.json() == {"removed": COUNTS, "made_from": made, "dry_run": True}
    assert loop.left() == BEFORE
    done = client.post(f"{URL}/erase", json={"user": "anni"})
    assert done.json() == {"removed": COUNTS, "made_from": made, "dry_run": False}
    assert loop.left() == AFTER
    again = client.post(f"{URL}/erase", json={"user": "anni"}).json()
    assert {number for held in again["removed"].values() for number in held.values()} == {0}
    assert again["made_from"] == []
    with loop.home.read() as uow:
        rows = list(datasets.rows(loop.home, loop.actor, "fixes@1"))
        assert len(rows) == 2, "a version never changes"
        query = "SELECT detail FROM core_audit WHERE action LIKE 'subjects.%'"
        assert "anni" not in repr(uow.conn.exec_driver_sql(query.replace("%", "%%")).all())


def test_a_session_goes_from_every_slice(home: Home, loop: Loop) -> None:
    done = subjects.erase(home, loop.actor, HANDLERS, Subject(SubjectKind.SESSION, "s1"))
    assert done.removed == {
        "mlflow": {"notes": 1, "assessments": 1, "dataset records": 1},
        "feedback": {"judgements": 1, "queue_items": 0},
        "gateway": {"alerts": 0, "accounts": 0},
        "traces": {"traces": 1, "spans": 1, "logs": 0},
    }
    assert loop.left()["feedback"] == ["hello bob", "thumb"]
    quoted = subjects.erase(home, loop.actor, HANDLERS, Subject(SubjectKind.SESSION, 's"1'))
    assert quoted.removed["mlflow"]["notes"] == 1


def test_what_is_exported_is_what_would_go(client: TestClient, loop: Loop) -> None:
    answer = client.get(f"{URL}/export?user=anni")
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    kinds = sorted((line["slice"], line["kind"]) for line in lines)
    assert kinds == [
        ("feedback", "feedback"),
        ("feedback", "feedback"),
        ("gateway", "account"),
        ("gateway", "alert"),
        ("mlflow", "assessment"),
        ("mlflow", "dataset record"),
        ("mlflow", "note"),
        ("mlflow", "note"),
        ("traces", "span"),
    ]
    span = next(line["data"] for line in lines if line["kind"] == "span")
    assert (span["trace_id"], span["user"]) == (loop.anni.trace_id, "anni")
    assert "bob" not in "".join(json.dumps(line) for line in lines if line["slice"] != "feedback")


def test_another_project_is_left_alone(client: TestClient, loop: Loop) -> None:
    client.post("/api/v1/projects", json={"name": "elsewhere"})
    done = client.post(f"{URL}/erase?project=elsewhere", json={"user": "anni"}).json()
    assert {number for held in done["removed"].values() for number in held.values()} == {0}
    assert client.get(f"{URL}/export?user=anni&project=elsewhere").text == ""
    assert loop.left() == BEFORE


def test_members_may_not(client: TestClient, loop: Loop) -> None:
    with loop.home.begin() as uow:
        _, secret = auth.create_key(uow, loop.actor, name="m", role=Role.MEMBER)
    client.cookies.clear()
    headers = {"authorization": f"Bearer {secret}"}
    assert client.post(f"{URL}/erase", json={"user": "anni"}, headers=headers).status_code == 403
    assert client.get(f"{URL}/export?user=anni", headers=headers).status_code == 403
    assert loop.left() == BEFORE


@pytest.mark.parametrize("given", [{}, {"user": ""}, {"user": "a", "session": "b"}, {"colour": 1}])
def test_whom_must_be_said(client: TestClient, given: dict[str, Any]) -> None:
    assert client.post(f"{URL}/erase", json=given).status_code in (400, 422)


def test_the_command_line(sqlite_home: Home, tmp_path: Any) -> None:
    loop = Loop(sqlite_home, Actor(id="prs_1", name="owner", role=Role.OWNER))
    folder = str(sqlite_home.path)

    def run(*words: str, code: int = 0, given: str | None = None) -> str:
        result = CliRunner().invoke(subjects_cli.app, [*words, "--home", folder], input=given)
        assert result.exit_code == code, result.output
        return result.output

    out = tmp_path / "anni.jsonl"
    assert "Wrote 9 records" in run("export", "--user", "anni", "--to", str(out))
    assert len(run("export", "--user", "anni").splitlines()) == len(out.read_text().splitlines()) == 9
    assert "dataset_version fixes@1" in run("erase", "--user", "anni", "--dry-run")
    run("erase", "--user", "anni", code=1, given="n\n")
    assert loop.left() == BEFORE
    done = json.loads(run("erase", "--user", "anni", "--yes", "--json"))
    assert done["removed"] == COUNTS and done["made_from"] == [["dataset_version", "fixes@1"]]
    assert loop.left() == AFTER
    run("erase", "--yes", code=1)
    run("export", "--user", "anni", "--to", str(tmp_path / "no" / "x"), code=1)
