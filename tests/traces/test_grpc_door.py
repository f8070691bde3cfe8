from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.testclient import TestClient

from penstock.app.server import Penstock
from penstock.core import plugins
from penstock.core.auth import service as auth
from penstock.core.errors import Invalid, StorageFull
from penstock.core.home import Home
from penstock.core.ids import new_trace_id
from penstock.core.scope import Actor, Role
from penstock.traces import log_service, service
from penstock.traces.grpc_door import GrpcDoor
from penstock.traces.receiver import Receiver
from tests.traces.otlp_build import logs_request, request

TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"
LOGS = "opentelemetry.proto.collector.logs.v1.LogsService"


@pytest.fixture
def receiver(home: Home) -> Iterator[Receiver]:
    made = Receiver(home)
    yield made
    made.close()


@pytest.fixture
def door(receiver: Receiver) -> Iterator[GrpcDoor]:
    made = GrpcDoor(receiver, "127.0.0.1", 0)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def key(home: Home, actor: Actor) -> str:
    with home.begin() as uow:
        return auth.create_key(uow, actor, name="sender", role=Role.GATEWAY)[1]


def export(
    port: int, body: bytes, metadata: dict[str, str], *, service_name: str = TRACES, compressed: bool = False
) -> bytes:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(f"/{service_name}/Export")
        compression = grpc.Compression.Gzip if compressed else None
        found: bytes = call(
            body, metadata=tuple(metadata.items()), timeout=20, compression=compression, wait_for_ready=True
        )
        return found


def refused(port: int, body: bytes, metadata: dict[str, str], **more: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        export(port, body, metadata, **more)
    return caught.value


def retry_seconds(error: Any) -> int | None:
    found = dict(error.trailing_metadata()).get("grpc-status-details-bin")
    if found is None:
        return None
    status = Status.FromString(found)
    assert status.code == error.code().value[0]
    info = RetryInfo()
    assert status.details[0].Unpack(info)
    return int(info.retry_delay.seconds)


def raw(message: Message) -> bytes:
    return bytes(message.SerializeToString())


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_spans_and_logs_arrive(
    door: GrpcDoor, home: Home, actor: Actor, key: str, header: str, compressed: bool
) -> None:
    metadata = {header: f"Bearer {key}" if header == "authorization" else key}
    trace_id = new_trace_id()
    assert export(door.port, raw(request({"trace_id": trace_id})), metadata, compressed=compressed) == b""
    sent = raw(logs_request({"trace_id": trace_id, "body": "line"}))
    assert export(door.port, sent, metadata, service_name=LOGS, compressed=compressed) == b""
    with home.read() as uow:
        assert service.get_trace(uow, actor, trace_id=trace_id).summary.spans == 1
        (record,) = log_service.list_logs(uow, actor).items
    assert record.trace_id == trace_id


def test_partial_success(door: GrpcDoor, key: str) -> None:
    body = raw(request({}, {"trace_id": "0" * 32}))
    answer = ExportTraceServiceResponse.FromString(export(door.port, body, {"x-api-key": key}))
    assert answer.partial_success.rejected_spans == 1
    assert "trace id" in answer.partial_success.error_message


def test_refusals_have_their_codes(door: GrpcDoor, key: str, receiver: Receiver) -> None:
    code = grpc.StatusCode
    good = raw(request({}))
    cases = [
        (code.UNAUTHENTICATED, good, {"x-api-key": "psk_wrong"}, {}),
        (code.UNAUTHENTICATED, good, {}, {}),
        (code.PERMISSION_DENIED, good, {"x-api-key": key, "x-penstock-project": "elsewhere"}, {}),
        (code.INVALID_ARGUMENT, b"\xff\xff\xff", {"x-api-key": key}, {}),
        (code.UNIMPLEMENTED, good, {"x-api-key": key}, {"service_name": "opentelemetry.Other"}),
        (code.RESOURCE_EXHAUSTED, bytes(receiver.limit + 1), {"x-api-key": key}, {}),
        (code.RESOURCE_EXHAUSTED, bytes(receiver.limit + 1), {"x-api-key": key}, {"compressed": True}),
    ]
    for expected, body, metadata, more in cases:
        error = refused(door.port, body, metadata, **more)
        assert error.code() is expected, error
        assert retry_seconds(error) is None
    assert export(door.port, good, {"x-api-key": key}) == b""


def test_too_much_at_once_says_when_to_come_back(door: GrpcDoor, key: str, receiver: Receiver) -> None:
    receiver.room.taken = receiver.room.limit
    error = refused(door.port, raw(request({})), {"x-api-key": key})
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert retry_seconds(error) == 1
    receiver.room.taken = 0
    export(door.port, raw(request({})), {"x-api-key": key})
    assert receiver.room.taken == 0


def test_a_full_disk_says_when_to_come_back(
    door: GrpcDoor, home: Home, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> Any:
        raise StorageFull("The disk is full.")

    export(door.port, b"", {"x-api-key": key})
    with monkeypatch.context() as patched:
        patched.setattr(home, "begin", full)
        error = refused(door.port, raw(request({})), {"x-api-key": key})
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert retry_seconds(error) == 30
    export(door.port, raw(request({})), {"x-api-key": key})


def test_the_server_opens_it_when_a_port_is_set(
    sqlite_home: Home, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "grpc" not in plugins.names("doors"):  # an installation made before there was one
        real = plugins.load
        monkeypatch.setattr(plugins, "load", lambda *what: GrpcDoor if what[0] == "doors" else real(*what))
    monkeypatch.setenv("PENSTOCK_TRACES__GRPC_PORT", str(free_port))
    with sqlite_home.begin() as uow:
        person, _ = auth.ensure_owner(uow)
        secret = auth.create_key(uow, person.actor(), name="sender")[1]
    with Home.open(sqlite_home.path) as home, TestClient(Penstock(home)):
        assert export(free_port, raw(request({})), {"x-api-key": secret}) == b""
    error = None
    try:
        with grpc.insecure_channel(f"127.0.0.1:{free_port}") as channel:
            channel.unary_unary(f"/{TRACES}/Export")(b"", timeout=3)
    except grpc.RpcError as caught:
        error = caught
    assert error is not None
    assert error.code() is grpc.StatusCode.UNAVAILABLE


def test_processes_share_the_port(receiver: Receiver, door: GrpcDoor, key: str) -> None:
    second = GrpcDoor(receiver, "127.0.0.1", door.port)
    second.start()
    for _ in range(4):
        assert export(door.port, raw(request({})), {"x-api-key": key}) == b""
    second.stop()
    assert export(door.port, raw(request({})), {"x-api-key": key}) == b""


def test_an_address_that_cannot_be_had_is_said_at_once(receiver: Receiver) -> None:
    with pytest.raises(Invalid, match="cannot listen"):
        GrpcDoor(receiver, "192.0.2.1", 4317)
