"""Any HTTP endpoint that takes JSON and answers JSON as a target: an application, an agent, a pipeline."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.core.settings import CoreSettings
from penstock.evals.calls import chat
from penstock.evals.calls.endpoint import check_options, patience_of, read_key
from penstock.evals.calls.pacing import Pace
from penstock.evals.calls.sender import Reply, Sender
from penstock.evals.model import Output, Sample
from penstock.evals.ports import TargetContext

_OPTIONS = (
    "url",
    "headers",
    "body",
    "output",
    "contexts",
    "tool_calls",
    "cost_usd",
    "timeout_s",
    "retries",
    "patience_s",
    "per_minute",
)
_PLACE = re.compile(r"\$(?:\{([\w.]+)\}|([\w.]+))")
_OUTPUT_NAMES = ("output", "answer", "text", "response", "completion")
_MISSING = object()


class HttpTarget:
    """Posts each sample to `url`.

    `body` (`{"input": "$input"}`) is JSON in which `$input` stands for the last message's text, `$messages` for all
    messages, `$id` for the sample's id and `$row.NAME` for a column; a text that is nothing but one of these takes its
    value as it is. `output` is the path to the answer (`choices.0.message.content`; without one the usual names
    are tried), `contexts`, `tool_calls` and `cost_usd` are paths to more. `headers` values may be `{env: NAME}`.
    Waiting and trying again are as for the gateway target. Private addresses are called only where
    `core.allow_private_urls` says so.
    """

    def __init__(self, options: Mapping[str, Any], context: TargetContext) -> None:
        check_options("The http target", options, _OPTIONS)
        if not options.get("url"):
            raise Invalid("The http target needs a url.")
        self._url = str(options["url"])
        core: CoreSettings = context.home.settings.section(CoreSettings)
        self._sender = Sender(
            self._url,
            allow_private=core.allow_private_urls,
            patience=patience_of(options),
            pace=Pace(options.get("per_minute")),
            headers={name: read_key(value) for name, value in (options.get("headers") or {}).items()},
        )
        self._body = options.get("body", {"input": "$input"})
        self._paths = {name: str(options.get(name) or "") for name in ("output", "contexts", "tool_calls")}
        self._cost = str(options.get("cost_usd") or "")

    def request(self, sample: Sample) -> Mapping[str, Any]:
        """Return the address and the filled body."""
        return {"url": self._url, "body": fill(self._body, sample)}

    async def answer(self, sample: Sample, key: str) -> Output:
        """Return the endpoint's answer; what fails is the output's error."""
        reply = await self._sender.post("", msgspec.json.encode(fill(self._body, sample)), key=key)
        return self._read(sample, reply)

    def _read(self, sample: Sample, reply: Reply) -> Output:
        trace_id = chat.header(reply, b"x-penstock-trace-id")
        if (failed := chat.failure(reply)) is not None:
            return Output(sample_id=sample.id, error=failed, trace_id=trace_id)
        try:
            data = msgspec.json.decode(reply.body)
        except (msgspec.DecodeError, UnicodeError) as error:
            return Output(sample_id=sample.id, error=f"unreadable answer ({error})", trace_id=trace_id)
        text = self._text(data)
        if text is _MISSING:
            return Output(sample_id=sample.id, error="the answer holds no output", trace_id=trace_id)
        found = {
            name: at(data, self._paths[name]) for name in ("contexts", "tool_calls") if self._paths[name]
        }
        cost = at(data, self._cost) if self._cost else chat.header(reply, b"x-penstock-cost-usd")
        return Output(
            sample_id=sample.id,
            text=text if isinstance(text, str) else msgspec.json.encode(text).decode(),
            latency_s=reply.seconds,
            trace_id=trace_id,
            cost_usd=_number(cost),
            extra={name: value for name, value in found.items() if isinstance(value, list)},
        )

    def _text(self, data: Any) -> Any:
        if self._paths["output"]:
            return at(data, self._paths["output"])
        if isinstance(data, str):
            return data
        return next((data[n] for n in _OUTPUT_NAMES if isinstance(data, dict) and n in data), _MISSING)

    async def close(self) -> None:
        """Close the connections."""
        await self._sender.close()


def _number(value: Any) -> float | None:
    try:
        return None if value is None or value is _MISSING else float(value)
    except (TypeError, ValueError):
        return None


def at(data: Any, path: str) -> Any:
    """Return what lies at a dotted path (`choices.0.text`), or a mark that nothing does."""
    for part in path.split("."):
        if isinstance(data, Mapping) and part in data:
            data = data[part]
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return _MISSING
    return data


def input_text(sample: Sample) -> str:
    """Return the text of the last message that is a text."""
    return next((m["content"] for m in reversed(sample.messages) if isinstance(m.get("content"), str)), "")


def _value(name: str, sample: Sample) -> Any:
    if name == "input":
        return input_text(sample)
    if name == "messages":
        return list(sample.messages)
    if name == "id":
        return sample.id
    found = at(sample.row, name.removeprefix("row.")) if name.startswith("row.") else _MISSING
    if found is _MISSING:
        raise Invalid(f"The body asks for ${name}, which the sample {sample.id} does not have.")
    return found


def fill(template: Any, sample: Sample) -> Any:
    """Return the template with the sample's values in it; raises Invalid for a name it does not have."""
    if isinstance(template, Mapping):
        return {key: fill(value, sample) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [fill(value, sample) for value in template]
    if not isinstance(template, str):
        return template
    whole = _PLACE.fullmatch(template)
    if whole is not None:
        return _value(whole.group(1) or whole.group(2), sample)

    def place(match: re.Match[str]) -> str:
        value = _value(match.group(1) or match.group(2), sample)
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    return _PLACE.sub(place, template)
