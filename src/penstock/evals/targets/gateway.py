"""Any OpenAI-compatible server as a target: the gateway by default."""

import http.client
import os
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.core.net import check_url
from penstock.core.settings import CoreSettings
from penstock.core.suggest import did_you_mean
from penstock.evals.model import Output, Sample
from penstock.evals.ports import TargetContext

_OPTIONS = (
    "model",
    "base_url",
    "api_key",
    "max_tokens",
    "temperature",
    "stream",
    "timeout_s",
    "retries",
    "extra",
)
_RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})
_MAX_WAIT_S = 20.0


class GatewayTarget:
    """Sends each sample as a chat completion, `concurrency` at a time.

    Options: `model` (public model name), `base_url` (up to `/v1`), `api_key` (a text, or
    `{env: NAME}`), `max_tokens` (256), `temperature` (0), `stream` (false; true measures the time to the
    first token), `timeout_s` (120), `retries` (2, after 408, 429, 5xx and broken connections), `extra` (fields
    added to every request). A sample that still fails carries its error.
    """

    def __init__(self, options: Mapping[str, Any], context: TargetContext) -> None:
        for name in options:
            if name not in _OPTIONS:
                raise Invalid(
                    f"The gateway target has no option {name!r}.", hint=did_you_mean(name, _OPTIONS)
                )
        if not options.get("model"):
            raise Invalid("The gateway target needs a model.", hint="Name a route of the gateway.")
        base = str(options.get("base_url") or "").rstrip("/")
        core: CoreSettings = context.home.settings.section(CoreSettings)
        check_url(base, allow_private=core.allow_private_urls)
        self._url = urlsplit(base)
        self._key = read_key(options.get("api_key"))
        self._timeout = float(options.get("timeout_s", 120))
        self._retries = int(options.get("retries", 2))
        self._context = context
        self._stream = bool(options.get("stream", False))
        self._body: dict[str, Any] = {
            "model": options["model"],
            "max_tokens": options.get("max_tokens", 256),
            "temperature": options.get("temperature", 0),
            **options.get("extra", {}),
        }
        if self._stream:
            self._body |= {"stream": True, "stream_options": {"include_usage": True}}

    def generate(self, samples: Sequence[Sample]) -> Iterator[Sequence[Output]]:
        """Yield outputs as answers arrive."""
        todo: queue.SimpleQueue[Sample] = queue.SimpleQueue()
        done: queue.SimpleQueue[Output] = queue.SimpleQueue()
        for sample in samples:
            todo.put(sample)
        stop = threading.Event()
        workers = [
            threading.Thread(target=self._work, args=(todo, done, stop), daemon=True)
            for _ in range(min(self._context.concurrency, len(samples)))
        ]
        for worker in workers:
            worker.start()
        try:
            left = len(samples)
            while left:
                batch = [done.get()]
                while not done.empty():
                    batch.append(done.get())
                left -= len(batch)
                yield batch
        finally:
            stop.set()
            for worker in workers:
                worker.join()

    def _work(
        self,
        todo: "queue.SimpleQueue[Sample]",
        done: "queue.SimpleQueue[Output]",
        stop: threading.Event,
    ) -> None:
        connection = self._connect()
        try:
            while not stop.is_set():
                try:
                    sample = todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    done.put(self._ask(connection, sample, stop))
                except Exception as error:  # noqa: BLE001 - a thread that died would leave the run waiting for ever
                    connection.close()
                    done.put(Output(sample_id=sample.id, error=f"{type(error).__name__}: {error}"))
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        return kind(str(self._url.hostname), self._url.port, timeout=self._timeout)

    def _ask(self, connection: http.client.HTTPConnection, sample: Sample, stop: threading.Event) -> Output:
        body = msgspec.json.encode({**self._body, "messages": sample.messages})
        for attempt in range(self._retries + 1):
            wait = min(_MAX_WAIT_S, 0.5 * 2**attempt)
            try:
                output, retry_after = self._call(connection, sample.id, body)
            except TimeoutError:
                connection.close()
                return Output(sample_id=sample.id, error=f"no answer within {self._timeout:g} s")
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                output = Output(sample_id=sample.id, error=f"{type(error).__name__}: {error}")
            else:
                if retry_after is None:
                    return output
                wait = min(_MAX_WAIT_S, retry_after or wait)
            if attempt == self._retries or stop.wait(wait):
                break
        return output

    def _call(
        self, connection: http.client.HTTPConnection, sample_id: str, body: bytes
    ) -> tuple[Output, float | None]:
        """Return the output, and seconds to wait before trying again (None: it is final)."""
        headers = {"content-type": "application/json"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        began = clock.monotonic()
        connection.request("POST", f"{self._url.path}/chat/completions", body, headers)
        response = connection.getresponse()
        if response.status != 200:
            text = response.read().decode(errors="replace")
            error = f"HTTP {response.status}: {error_text(text)}"
            retry = _seconds(response.getheader("retry-after")) if response.status in _RETRYABLE else None
            return Output(sample_id=sample_id, error=error), retry
        trace_id = response.getheader("x-penstock-trace-id")
        if self._stream:
            return read_stream(response, sample_id, trace_id, began), None
        data = response.read()
        return read_answer(data, sample_id, trace_id, clock.monotonic() - began), None


def _seconds(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0


def read_key(value: Any) -> str:
    """Return the key given as a text or as `{env: NAME}`; raises Invalid when the variable is not set."""
    if isinstance(value, Mapping):
        name = str(value.get("env", ""))
        if not os.environ.get(name):
            raise Invalid(
                f"The environment variable {name!r} is not set.", hint="It should hold the API key."
            )
        return os.environ[name]
    return str(value or "")


def error_text(body: str) -> str:
    """Return the message of an OpenAI-style error body, else the body's first 500 characters."""
    try:
        decoded = msgspec.json.decode(body.encode())
    except msgspec.DecodeError:
        return body[:500]
    error = decoded.get("error") if isinstance(decoded, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return str(message)[:500] if message else body[:500]


def _usage(data: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return (input, output) tokens as the server counted them."""
    usage = data.get("usage") or {}
    return usage.get("prompt_tokens"), usage.get("completion_tokens")


def read_answer(data: bytes, sample_id: str, trace_id: str | None, seconds: float) -> Output:
    """Return the output of a chat completion body; an unreadable one is an error."""
    try:
        decoded = msgspec.json.decode(data)
        choice = decoded["choices"][0]
        text = choice["message"].get("content") or ""
        return Output(
            sample_id=sample_id,
            text=text,
            latency_s=seconds,
            finish_reason=choice.get("finish_reason") or "",
            trace_id=trace_id,
            input_tokens=_usage(decoded)[0],
            output_tokens=_usage(decoded)[1],
        )
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, AttributeError) as error:
        return Output(sample_id=sample_id, error=f"unreadable answer ({error!r})", trace_id=trace_id)


def read_stream(
    response: http.client.HTTPResponse, sample_id: str, trace_id: str | None, began: float
) -> Output:
    """Return the output of a stream of chat completion chunks; one that ends without `[DONE]` is an error."""
    parts: list[str] = []
    first: float | None = None
    finish, usage, complete = "", _usage({}), False
    while line := response.readline():
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            complete = True
            continue
        try:
            chunk = msgspec.json.decode(data)
        except msgspec.DecodeError as error:
            return Output(sample_id=sample_id, error=f"unreadable chunk ({error})", trace_id=trace_id)
        if chunk.get("error"):
            return Output(sample_id=sample_id, error=error_text(data.decode()), trace_id=trace_id)
        usage = _usage(chunk) if chunk.get("usage") else usage
        for choice in chunk.get("choices", ()):
            finish = choice.get("finish_reason") or finish
            if text := (choice.get("delta") or {}).get("content"):
                first = clock.monotonic() - began if first is None else first
                parts.append(text)
    if not complete:
        return Output(sample_id=sample_id, error="the stream ended early", trace_id=trace_id)
    return Output(
        sample_id=sample_id,
        text="".join(parts),
        latency_s=clock.monotonic() - began,
        ttft_s=first,
        finish_reason=finish,
        trace_id=trace_id,
        input_tokens=usage[0],
        output_tokens=usage[1],
    )
