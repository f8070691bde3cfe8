"""The built web UI as an ASGI callable.

Everything is in memory, compressed at build time; each answer carries the headers that keep a page safe.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from starlette.types import Receive, Scope, Send

FOLDER = Path(__file__).parent / "static"
FOREVER = b"public, max-age=31536000, immutable"
ASK = b"no-cache"
TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".png": b"image/png",
    ".ico": b"image/x-icon",
    ".json": b"application/json",
    ".txt": b"text/plain; charset=utf-8",
    ".woff2": b"font/woff2",
}
ENCODINGS = ((b"br", ".br"), (b"gzip", ".gz"))
NOT_BUILT = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Penstock</title></head><body>
<h1>The web interface is not part of this installation</h1>
<p>Penstock itself works: the API, the gateway and the command line are up.</p>
<p>To get the web interface, install again without PENSTOCK_SKIP_UI (<code>pip install .</code>),
or run <code>python hatch_build.py</code> in the source folder, and start Penstock again.</p>
</body></html>
"""

_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _File:
    kind: bytes
    cache: bytes
    etag: bytes
    bodies: dict[bytes, bytes]
    """Content encoding → bytes; `identity` is always there."""


def content_policy(page: bytes) -> bytes:
    """Return the Content-Security-Policy for `page`: inline scripts by hash, all else from this server."""
    hashes = [base64.b64encode(hashlib.sha256(code).digest()).decode() for code in _INLINE.findall(page)]
    scripts = " ".join(["'self'", *(f"'sha256-{value}'" for value in hashes)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ).encode()


def _load(folder: Path) -> dict[str, _File]:
    files: dict[str, _File] = {}
    for path in sorted(folder.rglob("*")):
        kind = TYPES.get(path.suffix)
        if kind is None or not path.is_file() or path.name.startswith("."):
            continue
        body = path.read_bytes()
        bodies = {b"identity": body}
        for encoding, suffix in ENCODINGS:
            packed = path.with_name(path.name + suffix)
            if packed.is_file():
                bodies[encoding] = packed.read_bytes()
        name = "/" + path.relative_to(folder).as_posix()
        # Vite puts a content hash into each name below assets/, so such a file never changes.
        cache = FOREVER if name.startswith("/assets/") else ASK
        etag = b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode()
        files[name] = _File(kind=kind, cache=cache, etag=etag, bodies=bodies)
    return files


def accepted(header: bytes) -> set[bytes]:
    """Return the codings that an Accept-Encoding header allows (RFC 9110 §12.5.3; `*` is not expanded)."""
    allowed = set()
    for item in header.split(b","):
        coding, _, parameters = item.partition(b";")
        weight = parameters.replace(b" ", b"").lower()
        if not (weight.startswith(b"q=0") and weight.strip(b"q=0.") == b""):
            allowed.add(coding.strip().lower())
    return allowed


class StaticApp:
    """Serves the UI at every path that is not a file, so that each page's address can be opened directly.

    `folder` is read once. Where it holds no index.html, every page says how to get the UI, with status 503.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = _load(folder)
        self._index = self._files.get("/index.html")
        self._policy = content_policy(self._index.bodies[b"identity"] if self._index else NOT_BUILT)

    @property
    def built(self) -> bool:
        """Whether there is a UI to serve."""
        return self._index is not None

    def _find(self, path: str) -> _File | None:
        found = self._files.get(path)
        if found is not None or path.startswith(("/assets/", "/api/", "/v1/")):
            return found
        # Names such as `qwen2.5` have dots too: only a file's suffix in the top folder marks a missing file.
        is_file = path.count("/") == 1 and Path(path).suffix in TYPES
        return None if is_file else self._index

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - an ASGI callable takes receive
        """Answer one HTTP request."""
        method = scope["method"]
        headers = dict(scope["headers"])
        if method not in ("GET", "HEAD"):
            await self._send(send, 405, [(b"allow", b"GET, HEAD")], b"Only GET works here.\n")
            return
        if self._index is None:
            await self._send(send, 503, [(b"content-type", TYPES[".html"])], NOT_BUILT)
            return
        file = self._find(scope["path"])
        if file is None:
            await self._send(send, 404, [(b"cache-control", ASK)], b"There is no such file.\n")
            return
        common = [(b"cache-control", file.cache), (b"etag", file.etag), (b"vary", b"accept-encoding")]
        if file.etag in headers.get(b"if-none-match", b""):
            await self._send(send, 304, common, b"")
            return
        allowed = accepted(headers.get(b"accept-encoding", b""))
        coding = next((c for c, _ in ENCODINGS if c in allowed and c in file.bodies), b"identity")
        body = file.bodies[coding]
        if coding != b"identity":
            common.append((b"content-encoding", coding))
        common += [(b"content-type", file.kind), (b"content-length", str(len(body)).encode())]
        await self._send(send, 200, common, b"" if method == "HEAD" else body)

    async def _send(self, send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        names = {name for name, _ in headers}
        if b"content-type" not in names and status != 304:
            headers.append((b"content-type", b"text/plain; charset=utf-8"))
        if b"content-length" not in names and status != 304:
            headers.append((b"content-length", str(len(body)).encode()))
        headers += [
            (b"content-security-policy", self._policy),
            (b"x-content-type-options", b"nosniff"),
            # Sign-in links carry a token in the address.
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
