"""Errors in the caller's dialect: the one place that maps the error tree to HTTP.

Families: `openai` (https://platform.openai.com/docs/guides/error-codes), `anthropic`
(https://docs.anthropic.com/en/api/errors), `gemini` (google.rpc.Status as JSON), and `problem`
(RFC 9457) for the management API.
"""

import math
from typing import Any, Literal

import msgspec

from penstock.core.errors import PenstockError

Family = Literal["openai", "anthropic", "gemini", "problem"]

_OPENAI = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "permission_denied"),
    404: ("invalid_request_error", "not_found"),
    405: ("invalid_request_error", "method_not_allowed"),
    413: ("invalid_request_error", "request_too_large"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}
_ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_GEMINI = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
FILTERED = "content_filter"
"""The code of what guardrails refused; in Anthropic's and Google's errors, which have no codes, it is an addition."""
_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


def _openai(error: PenstockError, text: str) -> dict[str, Any]:
    kind, code = _OPENAI.get(
        error.status, ("server_error" if error.status >= 500 else "invalid_request_error", None)
    )
    details = error.details
    return {
        "error": {
            "message": text,
            "type": details.get("type", kind),
            "param": details.get("param"),
            "code": details.get("code", code or error.code),
        }
    }


def _body(error: PenstockError, family: Family, request_id: str) -> dict[str, Any]:
    text = str(error)
    if family == "openai":
        return _openai(error, text)
    if family == "anthropic":
        kind = _ANTHROPIC.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
        told = {"type": kind, "message": text}
        if error.details.get("code") == FILTERED:
            told["code"] = FILTERED
        return {"type": "error", "error": told, "request_id": request_id}
    if family == "gemini":
        state = _GEMINI.get(error.status, "INTERNAL" if error.status >= 500 else "INVALID_ARGUMENT")
        status: dict[str, Any] = {"code": error.status, "message": text, "status": state}
        if error.details.get("code") == FILTERED:
            status["details"] = [{"@type": _INFO, "reason": FILTERED.upper(), "domain": "penstock"}]
        return {"error": status}
    return {
        "type": f"urn:penstock:error:{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": error.status,
        "detail": error.message,
        "hint": error.hint,
        "code": error.code,
        "request_id": request_id,
        **({"errors": error.details} if error.details else {}),
    }


def render_error(
    error: PenstockError, family: Family, request_id: str
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return (status, headers, body) that tell `error` in the dialect `family`."""
    kind = b"application/problem+json" if family == "problem" else b"application/json"
    headers = [(b"content-type", kind), (b"x-request-id", request_id.encode())]
    if family == "anthropic":
        headers.append((b"request-id", request_id.encode()))
    if error.retry_after is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after))).encode()))
        if family == "openai":
            headers.append((b"retry-after-ms", str(max(1, round(error.retry_after * 1000))).encode()))
    if error.status == 401 and family == "problem":
        headers.append((b"www-authenticate", b"Bearer"))
    return error.status, headers, msgspec.json.encode(_body(error, family, request_id))
