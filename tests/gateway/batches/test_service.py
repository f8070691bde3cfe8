"""Limits of files and batches, on both databases."""

import pytest

from penstock.core import audit
from penstock.core.auth import service as auth
from penstock.core.errors import Conflict, LimitExceeded, NotFound
from penstock.core.home import Home
from penstock.core.jobs import cancel as cancel_job
from penstock.core.scope import Actor, Role
from penstock.gateway.batches import service, store
from penstock.gateway.batches.model import Batch, BatchState, Line, StoredFile


def kept(home: Home, actor: Actor, content: bytes = b"{}\n") -> StoredFile:
    file = service.begin_file(actor, filename="in.jsonl", purpose="batch")
    ref = home.blobs.put_bytes(file.salt + content)
    with home.begin() as uow:
        return service.keep_file(uow, actor, service.sized(file, len(content), ref.sha256))


def made(home: Home, actor: Actor, file: StoredFile) -> Batch:
    with home.begin() as uow:
        return service.create_batch(
            uow, actor, input_file=file.id, endpoint="/v1/embeddings", window="24h", metadata={"a": "b"}
        )


def test_a_file_is_what_was_stored(home: Home, actor: Actor) -> None:
    content = b"x" * 3_000_000
    file = kept(home, actor, content)
    assert b"".join(service.content(home, file)) == content
    with home.read() as uow:
        assert service.get_file(uow, actor, file.id) == file
        assert service.list_files(uow, actor, service.window_for(actor, after=None, limit=5)) == [file]
    with home.begin() as uow:
        service.delete_file(uow, actor, file.id)
    with home.read() as uow, pytest.raises(NotFound):
        service.get_file(uow, actor, file.id)


def test_a_project_may_store_so_much(home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_GATEWAY__FILES_TOTAL_MB", "1")
    with Home.open(home.path, upgrade=False) as small:
        kept(small, actor, b"x" * 600_000)
        with pytest.raises(LimitExceeded, match="larger than 1 MB"):
            kept(small, actor, b"x" * 600_000)


def test_a_project_may_have_so_many_open_batches(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_GATEWAY__BATCHES_OPEN", "1")
    file = kept(home, actor)
    with Home.open(home.path, upgrade=False) as small:
        batch = made(small, actor, file)
        with pytest.raises(LimitExceeded, match="not done"):
            made(small, actor, file)
        with small.begin() as uow:
            assert service.change(uow, batch, BatchState.FAILED)
            assert not service.change(uow, batch, BatchState.COMPLETED)  # it is in another state by now
        made(small, actor, file)


def test_a_file_in_use_stays(home: Home, actor: Actor) -> None:
    file = kept(home, actor)
    batch = made(home, actor, file)
    with home.begin() as uow, pytest.raises(Conflict):
        service.delete_file(uow, actor, file.id)
    with home.begin() as uow:
        service.change(uow, batch, BatchState.FAILED)
        service.delete_file(uow, actor, file.id)


def test_a_batch_whose_job_was_cancelled_says_so(home: Home, actor: Actor) -> None:
    batch = made(home, actor, kept(home, actor))
    assert service.settle_batch(home, actor, batch.id).state is BatchState.VALIDATING
    with home.begin() as uow:
        cancel_job(uow, actor, batch.job_id)
    settled = service.settle_batch(home, actor, batch.id)
    assert (settled.state, settled.errors[0]["code"]) == (BatchState.FAILED, "job_cancelled")


def test_lines_are_counted_once(home: Home, actor: Actor) -> None:
    batch = made(home, actor, kept(home, actor))
    with home.begin() as uow:
        store.add_lines(
            uow.conn, batch, [Line(2, True, b"two"), Line(1, True, b"one"), Line(3, False, b"bad")]
        )
        store.add_lines(uow.conn, batch, [Line(2, True, b"again")])
    with home.read() as uow:
        found = service.get_batch(uow, actor, batch.id)
        assert (found.completed, found.failed, found.metadata) == (2, 1, {"a": "b"})
        assert store.finished_numbers(uow.conn, batch) == {1, 2, 3}
        assert list(store.iterate_lines(uow.conn, batch, good=True)) == [b"one", b"two"]


def test_a_project_does_not_see_anothers(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        auth.create_project(uow, actor, name="other")
    file = kept(home, actor)
    batch = made(home, actor, file)
    elsewhere = actor.within("other")
    with home.read() as uow:
        with pytest.raises(NotFound):
            service.get_file(uow, elsewhere, file.id)
        with pytest.raises(NotFound):
            service.get_batch(uow, elsewhere, batch.id)
        assert service.list_batches(uow, elsewhere, service.window_for(elsewhere, after=None, limit=5)) == []
    stranger = Actor(id="key_x", name="x", role=Role.GATEWAY)
    with home.read() as uow, pytest.raises(NotFound):
        service.get_batch(uow, stranger, batch.id)


def test_changes_are_audited(home: Home, actor: Actor) -> None:
    file = kept(home, actor)
    batch = made(home, actor, file)
    with home.begin() as uow:
        service.cancel_batch(uow, actor, batch.id)
    with home.read() as uow:
        told = {(entry.action, entry.target) for entry in audit.page(uow.conn, actor.scope)}
    assert {("batches.create", batch.id), ("batches.cancel", batch.id)} <= told
