"""`penstock.get_prompt`: managed prompts, cached so that the program keeps working while the server is away.

A version never changes, so it is kept for good; what a label points at is asked again after `ttl` seconds, in the
background, while the known version is handed out (stale while revalidate).
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.sdk import clock, runtime, template
from penstock.sdk.client import Client
from penstock.sdk.errors import ConnectionFailed, Invalid, RenderError, SdkError

logger = logging.getLogger("penstock.sdk")

DEFAULT_TTL = 60.0
MAX_INCLUDES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A prompt filled in."""

    text: str
    """The text of a text prompt; empty for a chat prompt."""
    messages: tuple[dict[str, Any], ...]
    """Role and content objects, ready for a chat completion; a text prompt is one message of the user."""
    ref: str
    """`name@number`, for the record."""
    settings: Mapping[str, Any]
    """Model settings kept with the prompt: model, temperature and so on."""
    tools: tuple[dict[str, Any], ...] = ()
    """Tool definitions in OpenAI's shape."""
    output_schema: Mapping[str, Any] | None = None
    """JSON schema the answer should follow."""
    includes: Mapping[str, str] = field(default_factory=dict)
    """Every include, as it is written → the version that was used (`name@3`)."""

    def request(self, **own: Any) -> dict[str, Any]:
        """Return the arguments of a chat completion as OpenAI's client takes them; what is in `own` wins.

        For example `client.chat.completions.create(**prompt.render(name="Ann").request(model="small"))`.
        """
        found = {name: value for name, value in self.settings.items() if value is not None}
        found["messages"] = [dict(message) for message in self.messages]
        if self.tools:
            found["tools"] = [dict(tool) for tool in self.tools]
        if self.output_schema is not None:
            name = self.ref.partition("@")[0].replace(".", "_")[:64]
            schema = {"name": name, "schema": dict(self.output_schema)}
            found["response_format"] = {"type": "json_schema", "json_schema": schema}
        return found | own

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One immutable version of a managed prompt."""

    name: str
    number: int
    body: Mapping[str, Any]
    """As `GET /prompts/{name}/versions/{n}` returns it: kind, text or messages, variables, tools, settings …"""
    client: Client
    includes: tuple[str, ...] = ()
    """Other prompts it includes, as it names them: `name`, `name@label` or `name@3`."""
    note: str = ""
    """Why the version was made."""

    @property
    def ref(self) -> str:
        """`name@number`, the form traces and lineage use."""
        return f"{self.name}@{self.number}"

    @property
    def variables(self) -> frozenset[str]:
        """Names of the variables that rendering takes, those of included prompts among them."""
        bodies = [self.body, *(part.body for part in self._parts().values())]
        return frozenset(spec["name"] for body in bodies for spec in body.get("variables") or ())

    def render(self, **variables: Any) -> Rendered:
        """Return the prompt filled with `variables`.

        Templates of plain `{{ name }}` places, includes, placeholders and images are filled in here, others by the
        server, which owns the template language: the result is the same, but the latter needs the server. Raises
        RenderError for variables that are missing, unknown or of the wrong type, and ConnectionFailed when the server
        is needed and away.
        """
        parts = self._parts()
        filled = template.fill(self.body, variables, {name: part.body for name, part in parts.items()})
        pinned = {name: part.ref for name, part in parts.items()}
        if filled is None:
            text, messages, pinned = self._ask(variables)
        else:
            text, messages = filled
        return Rendered(
            text=text,
            messages=tuple(messages) if messages else ({"role": "user", "content": text},),
            ref=self.ref,
            settings=self.body.get("settings") or {},
            tools=tuple(self.body.get("tools") or ()),
            output_schema=self.body.get("output_schema"),
            includes=pinned,
        )

    def _parts(self) -> "dict[str, Prompt]":
        if not self.includes:
            return {}
        return _cache(self.client).included(self)

    def _ask(self, variables: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]], dict[str, str]]:
        try:
            answer = self.client.prompts.render(self.name, variables, version=self.number)
        except Invalid as error:
            raise RenderError(error.detail) from error
        return answer["text"], answer["messages"], answer.get("includes") or {}


@dataclass(slots=True)
class _Pointer:
    """What a label pointed at, and when that was last asked."""

    prompt: Prompt
    asked_at: float
    refreshing: bool = False


class PromptCache:
    """Versions and labels of one client. Safe to share between threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._versions: dict[tuple[str, int], Prompt] = {}
        self._pointers: dict[tuple[str, str], _Pointer] = {}

    def version(self, name: str, number: int) -> Prompt:
        """Return a version, from memory once it was fetched."""
        found = self._versions.get((name, number))
        if found is None:
            record = self._client.prompts.version(name, number)
            found = Prompt(
                name=name,
                number=number,
                body=record["body"],
                client=self._client,
                includes=tuple(record.get("includes") or ()),
                note=record.get("note") or "",
            )
            self._versions[name, number] = found
            self.included(found)  # so that they are known when the server is away
        return found

    def included(self, prompt: Prompt) -> dict[str, Prompt]:
        """Return what a prompt includes, and what that includes, by reference; without what cannot be fetched."""
        found: dict[str, Prompt] = {}
        wanted = list(prompt.includes)
        while wanted and len(found) < MAX_INCLUDES:
            reference = wanted.pop()
            if reference in found:
                continue
            name, _, which = reference.partition("@")
            try:
                part = (
                    self.version(name, int(which))
                    if which.isdecimal()
                    else self.labelled(name, which, DEFAULT_TTL)
                )
            except SdkError as error:
                logger.warning("%s includes %s, which cannot be fetched: %s", prompt.ref, reference, error)
                continue
            found[reference] = part
            wanted += part.includes
        return found

    def labelled(self, name: str, label: str, ttl: float) -> Prompt:
        """Return what the label points at; at most `ttl` seconds old while the server answers, older otherwise."""
        key = (name, label)
        with self._lock:
            pointer = self._pointers.get(key)
            if pointer is not None:
                if clock.monotonic() - pointer.asked_at > ttl and not pointer.refreshing:
                    pointer.refreshing = True
                    threading.Thread(
                        target=self._refresh, args=(key, pointer), name="penstock-prompts", daemon=True
                    ).start()
                return pointer.prompt
        prompt = self._fetch(key)
        with self._lock:
            self._pointers[key] = _Pointer(prompt, clock.monotonic())
        return prompt

    def _fetch(self, key: tuple[str, str]) -> Prompt:
        name, label = key
        labels: dict[str, int] = self._client.prompts.get(name)["labels"]
        wanted = label or ("production" if "production" in labels else "latest")
        if wanted not in labels:
            known = ", ".join(sorted(labels)) or "none yet"
            raise SdkError(f"The prompt {name!r} has no label {wanted!r}. Labels: {known}.")
        return self.version(name, labels[wanted])

    def _refresh(self, key: tuple[str, str], pointer: _Pointer) -> None:
        try:
            prompt = self._fetch(key)
        except SdkError as error:
            logger.warning("the prompt %s stays at its known version: %s", pointer.prompt.ref, error)
            prompt = pointer.prompt
        with self._lock:
            self._pointers[key] = _Pointer(prompt, clock.monotonic())


def get_prompt(
    name: str,
    *,
    label: str = "",
    version: int | None = None,
    ttl: float = DEFAULT_TTL,
    fallback: str | None = None,
    client: Client | None = None,
) -> Prompt:
    """Return a prompt by version or label (`production` where there is that label, else the newest version).

    The first call fetches; later ones answer from memory and look again in the background after `ttl` seconds. With
    the server away at the first call, `fallback` (the text of a template) is used if given, else ConnectionFailed
    is raised. Raises NotFound for a prompt that does not exist.
    """
    owner = client or runtime.client()
    cache = _cache(owner)
    try:
        if version is not None:
            return cache.version(name, version)
        return cache.labelled(name, label, ttl)
    except ConnectionFailed:
        if fallback is None:
            raise
        logger.warning("the prompt %s is the fallback: the server is away", name)
        return Prompt(name=name, number=0, body={"kind": "text", "text": fallback}, client=owner)


def _cache(client: Client) -> PromptCache:
    cache: PromptCache = client.memory.setdefault("prompts", PromptCache(client))
    return cache
