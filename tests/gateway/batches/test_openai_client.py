"""Files and batches as the unmodified openai client uses them."""

import json
import os
from datetime import timedelta

import openai
import pytest
from tests.gateway.batches.conftest import Recorder, jsonl, request_line, results, soon, submit, wait_for
from tests.gateway.conftest import Running

from penstock.core import clock
from penstock.core.auth import service as auth
from penstock.core.jobs import Worker
from penstock.core.scope import Actor, Role, Scope
from penstock.gateway.batches import service


def key_for(gateway: Running, actor: Actor, role: Role) -> str:
    with gateway.home.begin() as uow:
        return auth.create_key(uow, actor, name=f"a {role}", role=role)[1]


def test_a_file_goes_in_and_comes_out_again(client: openai.OpenAI) -> None:
    content = os.urandom(3_000_000) + b"\r\n--"
    made = client.files.create(file=("../some/dir/data.bin", content), purpose="user_data")
    assert (made.object, made.bytes, made.filename) == ("file", len(content), "data.bin")
    assert (made.purpose, made.status) == ("user_data", "processed")
    assert made.id.startswith("file_")
    assert client.files.retrieve(made.id) == made
    answer = client.files.content(made.id)
    assert answer.read() == content
    assert answer.response.headers["x-content-type-options"] == "nosniff"
    assert answer.response.headers["x-request-id"].startswith("req_")
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        client.files.retrieve(made.id)


def test_files_are_listed_by_pages(client: openai.OpenAI) -> None:
    made = [client.files.create(file=(f"{n}.txt", b"x"), purpose="user_data").id for n in range(5)]
    client.files.create(file=("b.jsonl", b"{}"), purpose="batch")
    assert [file.id for file in client.files.list(purpose="user_data")] == made[::-1]
    page = client.files.list(purpose="user_data", limit=2, order="asc")
    assert ([file.id for file in page.data], page.has_more) == (made[:2], True)
    assert [file.id for file in page] == made


def test_equal_files_live_and_die_apart(client: openai.OpenAI) -> None:
    one, two = (client.files.create(file=("a.txt", b"same"), purpose="user_data") for _ in range(2))
    client.files.delete(one.id)
    assert client.files.content(two.id).read() == b"same"


def test_wrong_uploads_are_refused_in_openais_words(client: openai.OpenAI, gateway: Running) -> None:
    with pytest.raises(openai.BadRequestError) as told:
        client.files.create(file=("a", b"x"), purpose="nonsense")  # type: ignore[arg-type]
    assert told.value.body["param"] == "purpose"
    with pytest.raises(openai.BadRequestError, match="multipart/form-data"):
        client.post("/files", body={"a": 1}, cast_to=object)
    with pytest.raises(openai.BadRequestError, match="expires_after"):
        late = {"anchor": "created_at", "seconds": 5}
        client.files.create(file=("a", b"x"), purpose="batch", expires_after=late)  # type: ignore[arg-type]
    with pytest.raises(openai.NotFoundError, match="There is nothing at"):
        client.post("/files/file_1/cancel", cast_to=object)
    with pytest.raises(openai.APIStatusError) as method:
        client.put("/files", cast_to=object)
    assert method.value.status_code == 405
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="psk_wrong").files.list()
    assert not list(gateway.home.folder("uploads").iterdir())


def test_a_file_of_its_time_goes(client: openai.OpenAI, gateway: Running) -> None:
    life = {"anchor": "created_at", "seconds": 3600}
    made = client.files.create(file=("a", b"x"), purpose="batch", expires_after=life)  # type: ignore[arg-type]
    assert made.expires_at == made.created_at + 3600
    assert service.sweep(gateway.home) == 0
    with clock.frozen(clock.now() + timedelta(hours=2)):
        assert service.sweep(gateway.home) == 1
    with pytest.raises(openai.NotFoundError):
        client.files.content(made.id)


def test_a_batch_gives_openais_result_files(
    client: openai.OpenAI, worker: Worker, recorder: Recorder, gateway: Running
) -> None:
    lines = [request_line(f"r{number}") for number in range(12)]
    lines += [request_line("missing", model="nowhere"), request_line("refused", model="oa-status-422")]
    made = submit(client, *lines, metadata={"team": "red"})
    assert (made.object, made.status, made.endpoint) == ("batch", "validating", "/v1/chat/completions")
    done = wait_for(client, made.id, "completed")
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (
        14,
        12,
        2,
    )
    assert done.metadata == {"team": "red"} and done.errors is None
    assert done.created_at <= done.in_progress_at <= done.finalizing_at <= done.completed_at < done.expires_at
    good, bad = results(client, done.output_file_id), results(client, done.error_file_id)
    assert list(good) == [f"r{number}" for number in range(12)]
    first = good["r0"]
    assert first["error"] is None and first["id"].startswith("batch_req_")
    assert first["response"]["status_code"] == 200 and first["response"]["request_id"].startswith("req_")
    assert first["response"]["body"]["choices"][0]["message"]["role"] == "assistant"
    assert bad["missing"]["response"]["status_code"] == 404
    assert bad["missing"]["response"]["body"]["error"]["code"] == "model_not_found"
    assert bad["refused"]["response"]["status_code"] == 422
    assert client.files.retrieve(done.output_file_id).purpose == "batch_output"
    scope, span = recorder.spans[0]
    assert scope == Scope() and span.key_id == gateway.key_id
    assert span.tags == ("batch",) and span.metadata["batch"] == made.id
    assert [batch.id for batch in client.batches.list(limit=1)] == [made.id]


def test_a_batch_of_embeddings(client: openai.OpenAI, worker: Worker) -> None:
    body = {"model": "chat", "input": ["a", "b"]}
    line = {"custom_id": "e", "method": "POST", "url": "/v1/embeddings", "body": body}
    done = wait_for(client, submit(client, line, endpoint="/v1/embeddings").id, "completed")
    assert len(results(client, done.output_file_id)["e"]["response"]["body"]["data"]) == 2


def test_a_wrong_input_file_fails_with_every_line_named(client: openai.OpenAI, worker: Worker) -> None:
    stream = request_line("s")
    stream["body"]["stream"] = True
    bad = [
        "no object", request_line("a"), request_line("a"), request_line("b", url="/v1/embeddings"),
        request_line("c", method="GET"), {"custom_id": "d"}, request_line("", model="chat"), stream,
        {**request_line("e"), "body": {"messages": []}},
    ]  # fmt: skip
    file = client.files.create(file=("in.jsonl", jsonl(*bad) + b"{not json\n\n"), purpose="batch")
    made = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    failed = wait_for(client, made.id, "failed")
    told = {error.line: error.code for error in failed.errors.data}
    assert told == {
        1: "invalid_request", 3: "duplicate_custom_id", 4: "mismatched_endpoint", 5: "invalid_method",
        6: "invalid_request", 7: "missing_required_parameter", 8: "invalid_request", 9: "invalid_request",
        10: "invalid_json_line",
    }  # fmt: skip
    assert failed.output_file_id is None and failed.failed_at is not None


def test_an_empty_input_file_fails(client: openai.OpenAI, worker: Worker) -> None:
    failed = wait_for(client, submit(client).id, "failed")
    assert failed.errors.data[0].code == "empty_file"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"endpoint": "/v1/images"}, "endpoint must be"),
        ({"completion_window": "1h"}, "completion_window must be"),
        ({"metadata": {"k": "v" * 600}}, "metadata takes"),
        ({"metadata": {"k": 1}}, "The body is not right"),
    ],
)
def test_a_wrong_batch_is_refused(client: openai.OpenAI, asked: dict, says: str) -> None:
    with pytest.raises(openai.BadRequestError, match=says):
        submit(client, request_line("a"), **asked)


def test_only_files_for_batches_become_batches(client: openai.OpenAI) -> None:
    file = client.files.create(file=("a", b"x"), purpose="user_data")
    with pytest.raises(openai.BadRequestError, match="purpose"):
        client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")
    with pytest.raises(openai.NotFoundError):
        client.batches.create(input_file_id="file_0", endpoint="/v1/embeddings", completion_window="24h")


def test_a_cancelled_batch_keeps_what_it_has(client: openai.OpenAI, gateway: Running, worker: Worker) -> None:
    hanging = {"strategy": "weighted", "targets": [{"provider": "oa", "model": "hang"}], "timeout": 3}
    gateway.configure({}, {"hanging": hanging})
    lines = [request_line("quick"), *(request_line(f"h{number}", model="hanging") for number in range(4))]
    lines += [request_line(f"later{number}") for number in range(6)]
    # Calls that hang occupy the batch until the provider gives up, so that the cancel comes in between.
    made = submit(client, *lines)
    wait_for(client, made.id, "in_progress")
    file = client.batches.retrieve(made.id).input_file_id
    with pytest.raises(openai.ConflictError):
        client.files.delete(file)
    soon(lambda: client.batches.retrieve(made.id).request_counts.completed == 1)
    assert client.batches.cancel(made.id).status == "cancelling"
    assert client.batches.cancel(made.id).status in ("cancelling", "cancelled")
    ended = wait_for(client, made.id, "cancelled", seconds=60)
    assert ended.cancelling_at <= ended.cancelled_at
    assert "quick" in results(client, ended.output_file_id)
    rest = results(client, ended.error_file_id)
    assert rest["later5"]["error"]["code"] == "batch_cancelled" and rest["later5"]["response"] is None
    assert len(rest) + len(results(client, ended.output_file_id)) == 11
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(wait_for(client, submit(client).id, "failed").id)


def test_keys_see_their_own_and_administrators_all(client: openai.OpenAI, gateway: Running) -> None:
    made = client.files.create(file=("a", b"x"), purpose="batch")
    batch = client.batches.create(
        input_file_id=made.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    with gateway.home.begin() as uow:
        auth.create_project(uow, gateway.actor, name="other")
    other = gateway.actor.within("other")
    strangers = {
        "another key": key_for(gateway, gateway.actor, Role.GATEWAY),
        "another project": key_for(gateway, other, Role.ADMIN),
    }
    for secret in strangers.values():
        stranger = client.with_options(api_key=secret)
        for peek in (stranger.files.retrieve, stranger.files.content, stranger.files.delete):
            with pytest.raises(openai.NotFoundError):
                peek(made.id)
        for peek in (stranger.batches.retrieve, stranger.batches.cancel):
            with pytest.raises(openai.NotFoundError):
                peek(batch.id)
        with pytest.raises(openai.NotFoundError):
            stranger.batches.create(input_file_id=made.id, endpoint="/v1/embeddings", completion_window="24h")
        assert not stranger.files.list().data and not stranger.batches.list().data
    admin = client.with_options(api_key=key_for(gateway, gateway.actor, Role.ADMIN))
    assert [file.id for file in admin.files.list()] == [made.id]
    assert admin.batches.retrieve(batch.id).id == batch.id


def test_a_batch_of_a_revoked_key_fails(client: openai.OpenAI, gateway: Running, recorder: Recorder) -> None:
    from penstock.gateway import jobs as gateway_jobs

    made = submit(client, request_line("a"))
    with gateway.home.begin() as uow:
        auth.revoke_key(uow, gateway.actor, key_id=gateway.key_id)
    assert Worker(gateway.home, gateway_jobs.batch_handlers(lambda _: recorder)).tick()
    with gateway.home.read() as uow:
        batch = service.get_batch(uow, gateway.actor, made.id)
    assert batch.state == "failed" and "no longer valid" in batch.errors[0]["message"]
    assert recorder.spans == []


def test_a_batch_past_its_window_expires(client: openai.OpenAI, gateway: Running, recorder: Recorder) -> None:
    from penstock.gateway import jobs as gateway_jobs

    made = submit(client, *(request_line(str(number)) for number in range(50)))
    with clock.frozen(clock.now() + timedelta(hours=25)):
        assert Worker(gateway.home, gateway_jobs.batch_handlers(lambda _: recorder)).tick()
    ended = client.batches.retrieve(made.id)
    assert (ended.status, ended.request_counts.total) == ("expired", 50)
    assert ended.request_counts.completed + ended.request_counts.failed == 50
    assert (
        json.loads(json.dumps(results(client, ended.error_file_id)["49"]["error"]))["code"] == "batch_expired"
    )
