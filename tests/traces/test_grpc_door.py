from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.testclient import TestClient

from penstock.app.server import Penstock
from penstock.core import clock, plugins
from penstock.core.auth import service as auth
from penstock.core.errors import Invalid, StorageFull
from penstock.core.home import Home
from penstock.core.ids import new_trace_id
from penstock.core.scope import Actor, Role
from penstock.traces import log_service, service
from penstock.traces.grpc_door import GrpcDoor
from penstock.traces.otlp_app import grpc_door
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


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a certificate that signs itself for `name`; returns the files of chain and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = clock.now()
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return chain, private


def export_by_tls(port: int, trusted: bytes, name: str, key: str) -> bytes:
    options = (("grpc.ssl_target_name_override", name),)
    credentials = grpc.ssl_channel_credentials(trusted)
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        found: bytes = channel.unary_unary(f"/{TRACES}/Export")(
            raw(request({})), metadata=(("x-api-key", key),), timeout=20, wait_for_ready=True
        )
        return found


def test_tls_alone_when_there_is_a_certificate_and_renewed_ones_are_taken(
    receiver: Receiver, key: str, tmp_path: Path
) -> None:
    chain, private = certificate(tmp_path, "first.test")
    door = GrpcDoor(receiver, "127.0.0.1", 0, certificate=(str(chain), str(private)))
    door.start()
    try:
        first = chain.read_bytes()
        assert export_by_tls(door.port, first, "first.test", key) == b""
        with grpc.insecure_channel(f"127.0.0.1:{door.port}") as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary(f"/{TRACES}/Export")(b"", timeout=3)
        certificate(tmp_path, "second.test")
        second = chain.read_bytes()
        assert export_by_tls(door.port, second, "second.test", key) == b""
        chain.unlink()  # half a renewal: the old one goes on
        private.unlink()
        assert export_by_tls(door.port, second, "second.test", key) == b""
    finally:
        door.stop()


def test_a_certificate_that_cannot_be_read_is_said_at_once(
    home: Home, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Invalid, match="certificate"):
        GrpcDoor(receiver, "127.0.0.1", 0, certificate=(str(tmp_path / "a"), str(tmp_path / "b")))
    monkeypatch.setenv("PENSTOCK_TRACES__GRPC_PORT", "4317")
    monkeypatch.setenv("PENSTOCK_TRACES__GRPC_KEY", "key.pem")
    with Home.open(home.path) as opened, pytest.raises(Invalid, match="both"):
        grpc_door(opened, receiver)


def test_an_address_that_cannot_be_had_is_said_at_once(receiver: Receiver) -> None:
    with pytest.raises(Invalid, match="cannot listen"):
        GrpcDoor(receiver, "192.0.2.1", 4317)
