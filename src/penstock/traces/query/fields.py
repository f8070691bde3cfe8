"""The fields of the query language: what they hold and how they are written."""

from dataclasses import dataclass
from typing import Literal

from penstock.traces.model import KINDS

Holds = Literal["label", "number", "duration", "money", "time", "words", "id"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field; with `keyed` it is written field.key."""

    name: str
    holds: Holds
    about: str
    example: str
    keyed: bool = False
    values: tuple[str, ...] = ()
    """The only texts it can have; empty: any."""


_ALL = (
    Field("text", "words", "words in name, error, input or output", 'text:"refund policy"'),
    Field("input", "words", "words in what was asked", "input:parcel"),
    Field("output", "words", "words in what was answered", 'output:"on its way"'),
    Field("error", "words", "words in an error's text; `error:*` is any", 'error:"timed out"'),
    Field("id", "id", "trace id, or its beginning", "id:0af76519*"),
    Field("name", "label", "name of a span", "name:checkout"),
    Field("kind", "label", "kind of a span", "kind:tool", values=KINDS),
    Field("agent", "label", "name of an agent", "agent:researcher"),
    Field("service", "label", "service that sent a span", "service:checkout"),
    Field("tool", "label", "name of a tool that was called", "tool:get_weather"),
    Field("model", "label", "model that answered or was asked for", "model:gpt-*"),
    Field("requested_model", "label", "model that was asked for", "requested_model:chat"),
    Field("provider", "label", "provider of a call", "provider:openai"),
    Field("status", "label", "`error` when a span failed, else `ok`", "status:error", values=("ok", "error")),
    Field("user", "label", "user", "user:ada"),
    Field("session", "label", "session", "session:chat-1"),
    Field("tag", "label", "tag", "tag:prod"),
    Field("metadata", "label", "metadata by key", "metadata.customer:acme", keyed=True),
    Field("attributes", "label", "attribute of a span by key", "attributes.http.status_code:500", keyed=True),
    Field("prompt", "label", "prompt by name, or name@version", "prompt:triage@3"),
    Field("key", "label", "id of the API key", "key:key_*"),
    Field("route", "label", "route of the gateway", "route:chat"),
    Field("environment", "label", "environment", "environment:prod"),
    Field("guard", "label", "verdict of a guard, with its policy if you like", "guard:deny:pii"),
    Field("cache", "label", "what the gateway's cache did", "cache:hit"),
    Field("feedback", "label", "`up`, `down`, the name of a judgement, or `*`", "feedback:down"),
    Field("latency", "duration", "from the trace's start to its end", "latency>2s"),
    Field("ttft", "duration", "time to first token of a span", "ttft>800ms"),
    Field("tokens", "number", "input and output tokens together", "tokens>1000"),
    Field("input_tokens", "number", "input tokens", "input_tokens:1k..2k"),
    Field("output_tokens", "number", "output tokens", "output_tokens<10"),
    Field("cached", "number", "input tokens read from the provider's cache", "cached>0"),
    Field("cost", "money", "cost in US dollars", "cost>=0.01"),
    Field("spans", "number", "how many spans", "spans>100"),
    Field("calls", "number", "how many calls of models", "calls>3"),
    Field("errors", "number", "how many spans failed", "errors>=2"),
    Field("score", "number", "score by name", "score.faithfulness<0.5", keyed=True),
    Field("rating", "number", "rating somebody gave", "rating>=4"),
    Field("since", "time", "started then or later", "since:24h"),
    Field("until", "time", "started before", "until:2026-01-31T12:00:00Z"),
    Field("at", "time", "started on that day, hour or minute, or in that range", "at:2026-01-31"),
)
FIELDS: dict[str, Field] = {field.name: field for field in _ALL}
ALIASES = {
    "env": "environment",
    "duration": "latency",
    "trace": "id",
    "tags": "tag",
    "requested": "requested_model",
    "cached_tokens": "cached",
    "attribute": "attributes",
    "verdict": "guard",
}
"""Other names of fields; the canonical form prints the field's own."""
