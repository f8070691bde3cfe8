"""A Hugging Face hub on loopback: repositories with commits, gated ones, and the answers their library asks for."""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Repository:
    """Files by commit; `main` points at the last one."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    token: str = ""
    """Set: gated, and this opens it."""

    def commit(self, files: dict[str, bytes]) -> str:
        """Add a commit; returns its name."""
        name = hashlib.sha1(json.dumps(sorted((k, v.hex()) for k, v in files.items())).encode()).hexdigest()
        self.commits[name] = files
        return name

    def resolve(self, revision: str) -> str | None:
        """Return the commit of a revision."""
        if revision == "main":
            return list(self.commits)[-1]
        return revision if revision in self.commits else None


class FakeHub:
    """Use it as a context manager; `asked` holds (method, path) of every request."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.asked: list[tuple[str, str]] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(*hub.answer("GET", self.path, self.headers.get("authorization", "")))

            def do_HEAD(self) -> None:
                self._answer(*hub.answer("HEAD", self.path, self.headers.get("authorization", "")))

            def log_message(self, *_: Any) -> None:
                return

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """The hub's address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "FakeHub":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def answer(self, method: str, target: str, authorization: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body."""
        path = urlsplit(target).path
        self.asked.append((method, path))
        api = path.startswith("/api/models/")
        parts = path.removeprefix("/api/models").strip("/").split("/")
        name, verb, rest = "/".join(parts[:2]), parts[2] if len(parts) > 2 else "", parts[3:]
        repository = self.repositories.get(name)
        if repository is None:
            return _refused(404, "RepoNotFound", "Repository not found")
        commit = repository.resolve(rest[0] if rest else "main")
        if commit is None:
            return _refused(404, "RevisionNotFound", "Invalid rev id")
        if api:
            return _described(name, verb, commit, repository)
        if repository.token and authorization != f"Bearer {repository.token}":
            return _refused(403, "GatedRepo", "Access to this model is restricted")
        data = repository.commits[commit].get("/".join(rest[1:]))
        if data is None:
            return _refused(404, "EntryNotFound", "Entry not found")
        return 200, {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": commit}, data


def _refused(status: int, code: str, message: str) -> tuple[int, dict[str, str], bytes]:
    headers = {"X-Error-Code": code, "X-Error-Message": message, "Content-Type": "application/json"}
    return status, headers, json.dumps({"error": message}).encode()


def _described(
    name: str, verb: str, commit: str, repository: Repository
) -> tuple[int, dict[str, str], bytes]:
    files = repository.commits[commit]
    said: Any
    if verb == "tree":
        said = [
            {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
            for path, data in files.items()
        ]
    else:
        said = {
            "id": name,
            "modelId": name,
            "sha": commit,
            "private": False,
            "gated": "manual" if repository.token else False,
            "tags": [],
            "siblings": [{"rfilename": path} for path in files],
        }
    return 200, {"Content-Type": "application/json"}, json.dumps(said).encode()
