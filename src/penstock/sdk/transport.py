"""One HTTP request after another over `http.client`: keep-alive, retries, problem documents as errors."""

import contextlib
import http.client
import json
import os
import random
import ssl
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Protocol
from urllib.parse import urlencode, urlsplit

from penstock.sdk import clock, forks
from penstock.sdk.config import Config
from penstock.sdk.errors import ConnectionFailed, error_for
from penstock.version import __version__

RETRIED_STATUS = frozenset({429, 503})
"""The server refused without doing anything, so that every method may be sent again."""
SAFE_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE"})
"""Sent again after a broken connection: doing them twice equals doing them once."""
LONGEST_WAIT = 30.0
FIRST_WAIT = 0.25
KEPT_CONNECTIONS = 8

Body = bytes | IO[bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished HTTP answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        """Return the decoded body, or None when there is none."""
        return json.loads(self.body) if self.body else None


class Stream:
    """The body of an answer, read as it comes."""

    def __init__(self, response: IO[bytes], url: str) -> None:
        self._response, self._url = response, url

    def lines(self) -> Iterator[bytes]:
        """Yield the lines, ends included. Raises ConnectionFailed when the connection breaks."""
        return self._read(self._response.readline)

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield pieces of at most `size` bytes. Raises ConnectionFailed when the connection breaks."""
        return self._read(lambda: self._response.read(size))

    def _read(self, read: Callable[[], bytes]) -> Iterator[bytes]:
        while True:
            try:
                piece = read()
            except (OSError, http.client.HTTPException) as error:
                raise ConnectionFailed(f"{self._url} stopped in the middle: {_reason(error)}.") from error
            if not piece:
                return
            yield piece


class Sender(Protocol):
    """The one-method seam of what only sends: anything that answers requests can stand behind it."""

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Body | None = None,
        content_type: str = "application/json",
        repeatable: bool = False,
    ) -> Answer:
        """Return the answer of a 2xx status; raise ApiError for another and ConnectionFailed for none.

        `repeatable` says of a POST that doing it twice equals doing it once.
        """
        ...


class Transport(Sender, Protocol):
    """The seam of a Client: answers requests, whole or piece by piece."""

    def stream(
        self, path: str, *, query: Mapping[str, Any] | None = None
    ) -> contextlib.AbstractContextManager[Stream]:
        """Open a GET whose body is read as it comes; errors as of `send`."""
        ...


class HttpTransport:
    """Sends over HTTP/1.1; keeps finished connections for the next call; safe to share between threads."""

    def __init__(self, config: Config) -> None:
        self._config = config
        parts = urlsplit(config.url)
        self._host, self._prefix = parts.netloc, parts.path
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: deque[http.client.HTTPConnection] = deque()
        forks.watch(self)
        # Not __del__: in a cycle of garbage the sockets might be finalized first, each with a warning.
        weakref.finalize(self, _close_all, self._idle)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Body | None = None,
        content_type: str = "application/json",
        repeatable: bool = False,
    ) -> Answer:
        """Return the answer of a 2xx status, trying again as `Config.max_retries` allows; see Transport."""
        target = self._prefix + path + _query_string(query)
        headers = self._headers(content_type if body is not None else "")
        kept = body is None or isinstance(body, bytes)
        safe = method in SAFE_METHODS or repeatable
        if body is not None and not isinstance(body, bytes):
            headers["Content-Length"] = str(os.fstat(body.fileno()).st_size)
        attempt = 0
        while True:
            may_retry = kept and attempt < self._config.max_retries
            try:
                answer = self._once(method, target, body, headers, safe=safe)
            except (OSError, http.client.HTTPException) as error:
                if not (may_retry and safe):
                    raise ConnectionFailed(f"No answer from {self._config.url}: {_reason(error)}.") from error
                clock.sleep(_wait(attempt, None))
            else:
                if answer.status < 300:
                    return answer
                retry_after = _retry_after(answer.headers)
                if not (may_retry and answer.status in RETRIED_STATUS):
                    raise _error(answer, retry_after)
                clock.sleep(_wait(attempt, retry_after))
            attempt += 1

    @contextlib.contextmanager
    def stream(self, path: str, *, query: Mapping[str, Any] | None = None) -> Iterator[Stream]:
        """Open a GET on a connection of its own, closed with the block; see Transport."""
        target, headers = self._prefix + path + _query_string(query), self._headers("")
        connection = self._connect()
        try:
            with self._opened(connection, target, headers) as response:
                yield Stream(response, self._config.url)
        finally:
            connection.close()

    def _opened(
        self, connection: http.client.HTTPConnection, target: str, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        """Return a GET's answer of a 2xx status, its body unread; tries again as `send` does."""
        attempt = 0
        while True:
            try:
                connection.request("GET", target, headers=headers)
                response = connection.getresponse()
                if response.status < 300:
                    return response
                named = {name.lower(): value for name, value in response.getheaders()}
                answer = Answer(response.status, named, response.read())
            except (OSError, http.client.HTTPException) as error:
                raise ConnectionFailed(f"No answer from {self._config.url}: {_reason(error)}.") from error
            retry_after = _retry_after(answer.headers)
            if answer.status not in RETRIED_STATUS or attempt >= self._config.max_retries:
                raise _error(answer, retry_after)
            clock.sleep(_wait(attempt, retry_after))
            attempt += 1

    def close(self) -> None:
        """Close the kept connections; a later call opens new ones."""
        _close_all(self._idle)

    def after_fork(self) -> None:
        """Leave the parent's connections to the parent."""
        self.close()

    def _headers(self, content_type: str) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": f"penstock-python/{__version__}"}
        if content_type:
            headers["Content-Type"] = content_type
        if self._config.api_key:
            headers["Authorization"] = f"Bearer {self._config.api_key}"
        if self._config.project:
            headers["x-penstock-project"] = self._config.project
        return headers

    def _once(
        self, method: str, target: str, body: Body | None, headers: dict[str, str], *, safe: bool
    ) -> Answer:
        # A kept connection may have been closed by the server meanwhile; only what may be sent twice goes over it.
        # A file is read once: what went into a connection that turns out closed would be missing from the next.
        kept = self._kept() if safe and (body is None or isinstance(body, bytes)) else None
        if kept is not None:
            with contextlib.suppress(ConnectionError):
                return self._over(kept, method, target, body, headers)
        return self._over(self._connect(), method, target, body, headers)

    def _over(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        body: Body | None,
        headers: dict[str, str],
    ) -> Answer:
        try:
            connection.request(method, target, body=body, headers=headers)
            with connection.getresponse() as response:
                content = response.read()
        except BaseException:
            connection.close()
            raise
        if response.will_close or len(self._idle) >= KEPT_CONNECTIONS:
            connection.close()
        else:
            self._idle.append(connection)
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, content)

    def _kept(self) -> http.client.HTTPConnection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connect(self) -> http.client.HTTPConnection:
        timeout = self._config.timeout
        if self._tls is None:
            return http.client.HTTPConnection(self._host, timeout=timeout)
        return http.client.HTTPSConnection(self._host, timeout=timeout, context=self._tls)


def _close_all(idle: deque[http.client.HTTPConnection]) -> None:
    with contextlib.suppress(IndexError):  # empty; another thread may have taken the last one
        while True:
            idle.pop().close()


def _query_string(query: Mapping[str, Any] | None) -> str:
    pairs = [(name, value) for name, value in (query or {}).items() if value is not None]
    return "?" + urlencode(pairs, doseq=True) if pairs else ""


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a `Retry-After` header; its rare date form counts as absent."""
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def _wait(attempt: int, retry_after: float | None) -> float:
    """Return seconds to wait: what the server asked for, else doubling, with jitter against herds."""
    if retry_after is not None:
        return min(retry_after, LONGEST_WAIT)
    wait: float = FIRST_WAIT * 2**attempt
    return min(wait, LONGEST_WAIT) * (0.5 + random.random() / 2)


def _error(answer: Answer, retry_after: float | None) -> Exception:
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        text = answer.body[:300].decode("utf-8", "replace").strip()
        problem = {"detail": text} if text else {}
    request_id = answer.headers.get("x-request-id", "")
    return error_for(answer.status, problem, request_id=request_id, retry_after=retry_after)
