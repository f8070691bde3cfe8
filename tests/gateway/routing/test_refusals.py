"""How long a provider asks to be left alone, however it says so."""

from email.utils import formatdate
from typing import Any

import msgspec
import pytest

from penstock.core import clock
from penstock.gateway.dialects.gemini import read_fault
from penstock.gateway.routing.refusals import retry_after_of


class Headers:
    """The part of a response that is asked."""

    def __init__(self, **headers: str) -> None:
        self._headers = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}

    def header(self, name: bytes) -> bytes:
        return self._headers.get(name, b"")


def asked(**headers: str) -> float | None:
    response: Any = Headers(**headers)
    return retry_after_of(response)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "2"}, 2),
        ({"retry_after": "2", "retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "86400"}, 3600),
        ({"retry_after": "inf"}, 3600),
        ({"retry_after": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "Sun, 99 Nov 1994 08:49:37 GMT"}, None),
    ],
)
def test_seconds_and_dates(headers: dict[str, str], seconds: float | None) -> None:
    assert asked(**headers) == seconds


def test_a_date_to_come() -> None:
    at = clock.now_ns() * 1e-9 + 1000
    found = asked(retry_after=formatdate(at, usegmt=True))
    assert found is not None and 900 < found <= 1000


@pytest.mark.parametrize(("delay", "seconds"), [("27s", 27), ("0.5s", 0.5), ("soon", None), (None, None)])
def test_google_says_it_in_the_body(delay: str | None, seconds: float | None) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}] if delay else []
    error = {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED", "details": details}
    fault = read_fault(429, msgspec.json.encode({"error": error}))
    assert (fault.code, fault.retry_after) == ("RESOURCE_EXHAUSTED", seconds)
