import gc
import warnings

import pytest

from penstock.sdk.client import Client
from penstock.sdk.config import Config, from_environment
from penstock.sdk.errors import (
    ConfigError,
    ConnectionFailed,
    Denied,
    NotFound,
    RateLimited,
    ServerError,
    Unavailable,
)
from tests.sdk.fake_server import FakeServer


def test_key_project_and_user_agent_go_with_every_call(server: FakeServer) -> None:
    server.answer("GET /api/v1/me", {"name": "ada"})
    assert Client(server.url, "psk_1", project="alpha").me() == {"name": "ada"}
    headers = server.asked[0].headers
    assert headers["authorization"] == "Bearer psk_1"
    assert headers["x-penstock-project"] == "alpha"
    assert headers["user-agent"].startswith("penstock-python/")


def test_reads_share_one_connection(server: FakeServer) -> None:
    server.answer("GET /api/v1/me", {"name": "ada"})
    client = Client(server.url, "psk_1")
    for _ in range(5):
        client.me()
    assert len(server.connections) == 1


def test_clients_thrown_away_close_their_connections_without_a_warning(server: FakeServer) -> None:
    server.answer("GET /api/v1/me", {"name": "ada"})
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(10):
            client = Client(server.url, "psk_1")
            client.me()
            client.ring = [client]  # type: ignore[attr-defined]
            del client
        gc.collect()
    assert not warned


@pytest.mark.parametrize(("status", "kind"), [(403, Denied), (404, NotFound), (500, ServerError)])
def test_problem_documents_become_exceptions(server: FakeServer, status: int, kind: type[Exception]) -> None:
    problem = {"detail": "No such thing.", "hint": "Look again.", "code": "some_code"}
    server.answer("GET /api/v1/me", problem, status=status, headers={"x-request-id": "req_1"})
    with pytest.raises(kind) as caught:
        Client(server.url, "psk_1").me()
    error = caught.value
    assert str(error) == f"No such thing. Look again. (HTTP {status}, request req_1)"
    assert getattr(error, "code") == "some_code"  # noqa: B009 - the attribute is of the concrete class
    assert len(server.asked) == 1


def test_an_error_that_is_no_problem_document_shows_its_text(server: FakeServer) -> None:
    server.answer("GET /api/v1/me", b"<h1>Bad gateway</h1>", status=502)
    with pytest.raises(ServerError, match="Bad gateway"):
        Client(server.url, "psk_1").me()


def test_retry_after_is_honoured(server: FakeServer, pauses: list[float]) -> None:
    server.answer("POST /api/v1/prompts", {"detail": "slow"}, status=429, headers={"retry-after": "7"})
    server.answer("POST /api/v1/prompts", {"detail": "busy"}, status=503, headers={"retry-after": "3"})
    server.answer("POST /api/v1/prompts", {"name": "p"}, status=201)
    assert Client(server.url, "psk_1").prompts.create("p") == {"name": "p"}
    assert pauses == [7.0, 3.0]


def test_retries_end(server: FakeServer, pauses: list[float]) -> None:
    server.answer("GET /api/v1/me", {"detail": "slow"}, status=429)
    with pytest.raises(RateLimited):
        Client(config=Config(url=server.url, max_retries=3)).me()
    assert len(server.asked) == 4
    assert pauses[0] <= 0.25 and 0.5 <= pauses[2] <= 1.0


def test_unavailable_names_the_wait(server: FakeServer) -> None:
    server.answer("GET /api/v1/me", {"detail": "starting"}, status=503, headers={"retry-after": "2"})
    with pytest.raises(Unavailable) as caught:
        Client(config=Config(url=server.url, max_retries=0)).me()
    assert caught.value.retry_after == 2.0


def test_nobody_there_is_one_clear_error(free_port: int, pauses: list[float]) -> None:
    url = f"http://127.0.0.1:{free_port}"
    with pytest.raises(ConnectionFailed, match=f"No answer from {url}"):
        Client(url, "psk_1").me()
    assert len(pauses) == 4


def test_a_post_is_not_repeated_over_a_broken_connection(free_port: int, pauses: list[float]) -> None:
    with pytest.raises(ConnectionFailed):
        Client(f"http://127.0.0.1:{free_port}", "psk_1").prompts.create("p")
    assert pauses == []


def test_addresses_are_checked() -> None:
    with pytest.raises(ConfigError, match="should look like"):
        from_environment("localhost:8600")


def test_environment_fills_what_arguments_leave_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_URL", "https://penstock.example/base/")
    monkeypatch.setenv("PENSTOCK_API_KEY", "psk_secret_value")
    config = from_environment(project="beta")
    assert (config.url, config.api_key, config.project) == (
        "https://penstock.example/base",
        "psk_secret_value",
        "beta",
    )
    assert "secret_value" not in repr(config)
