"""Errors in each API family's own JSON."""

import json

import pytest

from penstock.core.errors import Invalid, LimitExceeded, NotFound, PenstockError, Unauthenticated
from penstock.core.http import render_error


def told(error: PenstockError, family: str) -> tuple[int, dict[bytes, bytes], dict[str, object]]:
    status, headers, body = render_error(error, family, "req_1")  # type: ignore[arg-type]
    return status, dict(headers), json.loads(body)


def test_openai_clients_get_type_param_and_code() -> None:
    status, headers, body = told(Unauthenticated("No such key."), "openai")
    assert (status, headers[b"x-request-id"]) == (401, b"req_1")
    assert body == {
        "error": {
            "message": "No such key.",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        }
    }


def test_anthropic_clients_get_their_type_and_request_id() -> None:
    status, headers, body = told(LimitExceeded("Slow down.", retry_after=1.2), "anthropic")
    assert (status, headers[b"retry-after"], headers[b"request-id"]) == (429, b"2", b"req_1")
    assert body["error"] == {"type": "rate_limit_error", "message": "Slow down."}


def test_gemini_clients_get_a_status() -> None:
    assert told(NotFound("Gone."), "gemini")[2] == {
        "error": {"code": 404, "message": "Gone.", "status": "NOT_FOUND"}
    }


@pytest.mark.parametrize("family", ["openai", "anthropic", "gemini"])
def test_what_guardrails_refused_is_told_from_other_errors(family: str) -> None:
    error = told(Invalid("No.", details={"code": "content_filter"}), family)[2]["error"]
    assert isinstance(error, dict)
    assert (
        error["details"][0]["reason"] == "CONTENT_FILTER"
        if family == "gemini"
        else error["code"] == "content_filter"
    )


def test_the_management_api_speaks_rfc_9457() -> None:
    status, headers, body = told(NotFound("Gone.", hint="Look elsewhere."), "problem")
    assert (status, headers[b"content-type"]) == (404, b"application/problem+json")
    assert (body["detail"], body["hint"], body["status"]) == ("Gone.", "Look elsewhere.", 404)


@pytest.mark.parametrize("family", ["openai", "anthropic", "gemini", "problem"])
@pytest.mark.parametrize(
    "status", [400, 401, 403, 404, 409, 413, 422, 429, 499, 500, 501, 502, 503, 504, 507]
)
def test_every_status_has_a_body_in_every_family(family: str, status: int) -> None:
    error = PenstockError("x")
    error.status = status  # type: ignore[misc]
    assert told(error, family)[0] == status
