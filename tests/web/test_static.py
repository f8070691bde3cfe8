"""Serving the built UI: headers, compression, caching, fallback, and what is said when it is not built."""

import asyncio
import base64
import hashlib
import re
import zlib
from pathlib import Path
from typing import Any

import pytest

from penstock.web.static import StaticApp, accepted

PAGE = (
    b"<html><head><script>theme()</script><script type='module' src='/assets/a-1.js'></script></head></html>"
)


@pytest.fixture
def app(tmp_path: Path) -> StaticApp:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "assets/a-1.js").write_bytes(b"plain")
    (tmp_path / "assets/a-1.js.br").write_bytes(b"brotli")
    (tmp_path / "assets/a-1.js.gz").write_bytes(b"gzip")
    (tmp_path / "favicon.svg").write_bytes(b"<svg/>")
    (tmp_path / ".stamp").write_text("x")
    return StaticApp(tmp_path)


def ask(app: StaticApp, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw}
    asyncio.run(app(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, sent[1]["body"]


@pytest.mark.parametrize(
    ("header", "coding", "body"),
    [
        ("gzip, br", "br", b"brotli"),
        ("gzip", "gzip", b"gzip"),
        ("br;q=0, gzip;q=0.5", "gzip", b"gzip"),
        ("br;q=0.0", None, b"plain"),
        ("", None, b"plain"),
    ],
)
def test_the_best_allowed_compression_is_sent(
    app: StaticApp, header: str, coding: str | None, body: bytes
) -> None:
    status, headers, sent = ask(app, "/assets/a-1.js", accept_encoding=header)
    assert (status, headers.get("content-encoding"), sent) == (200, coding, body)
    assert headers["content-length"] == str(len(body))
    assert headers["vary"] == "accept-encoding"
    assert headers["content-type"] == "text/javascript; charset=utf-8"


def test_hashed_files_are_kept_for_ever_and_pages_are_always_asked_for(app: StaticApp) -> None:
    assert "immutable" in ask(app, "/assets/a-1.js")[1]["cache-control"]
    assert ask(app, "/")[1]["cache-control"] == "no-cache"
    assert ask(app, "/favicon.svg")[1]["cache-control"] == "no-cache"


def test_an_unchanged_page_is_not_sent_again(app: StaticApp) -> None:
    tag = ask(app, "/")[1]["etag"]
    status, headers, body = ask(app, "/", if_none_match=tag)
    assert (status, body, headers["etag"]) == (304, b"", tag)
    assert "content-length" not in headers


@pytest.mark.parametrize(
    "path", ["/", "/traces", "/traces/abc", "/models/qwen2.5", "/signin", "/prompts/a.json"]
)
def test_every_address_of_the_ui_can_be_opened_directly(app: StaticApp, path: str) -> None:
    status, headers, body = ask(app, path)
    assert (status, body) == (200, PAGE)
    assert headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    "path",
    ["/assets/gone.js", "/robots.txt", "/favicon.ico", "/.stamp/../.stamp.json", "/api/v1/none", "/v1/none"],
)
def test_missing_files_are_missing(app: StaticApp, path: str) -> None:
    assert ask(app, path)[0] == (200 if ".stamp" in path else 404)
    assert ask(app, path)[2] != b"x"


def test_the_stamp_and_packed_twins_are_no_files_of_their_own(app: StaticApp) -> None:
    assert ask(app, "/.stamp")[2] == PAGE
    assert ask(app, "/assets/a-1.js.br")[0] == 404


def test_only_reading_is_possible(app: StaticApp) -> None:
    status, headers, _ = ask(app, "/", method="POST")
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    status, headers, body = ask(app, "/", method="HEAD")
    assert (status, body, headers["content-length"]) == (200, b"", str(len(PAGE)))


def test_the_policy_allows_the_theme_script_by_hash_and_nothing_inline_besides(app: StaticApp) -> None:
    headers = ask(app, "/")[1]
    policy = headers["content-security-policy"]
    expected = base64.b64encode(hashlib.sha256(b"theme()").digest()).decode()
    assert f"script-src 'self' 'sha256-{expected}';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"


def test_an_installation_without_the_ui_says_what_to_do(tmp_path: Path) -> None:
    app = StaticApp(tmp_path / "nothing")
    status, headers, body = ask(app, "/traces")
    assert not app.built
    assert status == 503
    assert b"PENSTOCK_SKIP_UI" in body
    assert headers["content-type"].startswith("text/html")


def test_weights_of_zero_forbid() -> None:
    assert accepted(b"gzip;q=1.0, br; q=0, *;q=0.1") == {b"gzip", b"*"}


def test_the_built_ui_is_small_and_complete() -> None:
    app = StaticApp()
    if not app.built:
        pytest.skip("the UI is not built here; tests/e2e builds it")
    page = ask(app, "/")[2].decode()
    entry = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)
    assert entry
    total = 0
    for path in entry:
        status, headers, packed = ask(app, path, accept_encoding="gzip")
        assert (status, headers["content-encoding"]) == (200, "gzip")
        assert zlib.decompress(packed, 31) == ask(app, path)[2]
        total += len(ask(app, path, accept_encoding="br")[2])
    assert total < 140_000
