"""Nouns and pure rules of prompts. Rendering is in `template`, comparing in `diff`."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.prompts import checking

NUMBER = re.compile(r"[1-9][0-9]{0,8}")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
LABEL = re.compile(r"[a-z][a-z0-9._-]{0,49}")
LATEST = "latest"
"""The label that always points at the newest version; nobody moves it by hand."""
PRODUCTION = "production"
"""The label that is meant when neither a version nor a label is named, where there is such a label."""
MAX_TAGS = 50
MAX_TAG = 100
_MARK = re.compile(r"\{[{%#]")


class Variable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that rendering needs."""

    name: str
    type: str = "string"
    """string, number, integer, boolean, list, object, image (a URL) or messages (role/content objects)."""
    required: bool = True
    default: Any = None
    description: str = ""


class Kind(StrEnum):
    """What a version renders to."""

    TEXT = "text"
    CHAT = "chat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a version says; two versions with equal bodies have equal hashes."""

    kind: Kind
    text: str = ""
    """The template, for kind text."""
    messages: tuple[dict[str, Any], ...] = ()
    """`{"role", "content"}` templates, for kind chat.

    `{"placeholder": NAME}` inserts a list of messages, `{"include": REFERENCE}` those of another chat prompt.
    """
    variables: tuple[Variable, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    """Tool definitions in OpenAI's shape, passed to the model unchanged."""
    output_schema: dict[str, Any] | None = None
    """JSON schema the answer should follow."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Model settings: model, temperature, max_tokens …"""

    def __post_init__(self) -> None:
        if self.kind is Kind.TEXT and (not self.text.strip() or self.messages):
            raise Invalid("A text prompt needs a non-empty `text` and no `messages`.")
        if self.kind is Kind.CHAT and (not self.messages or self.text):
            raise Invalid("A chat prompt needs at least one message and no `text`.")

    def check(self) -> None:
        """Raise Invalid, saying where, for what a new version may not say; old ones are read as they are."""
        for number, message in enumerate(self.messages, 1):
            checking.check_message(message, number)
        checking.check_variables([(each.name, each.type, each.default) for each in self.variables])
        checking.check_tools(self.tools)
        checking.check_schema(self.output_schema)
        checking.check_settings(self.settings)

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the canonical JSON of the body."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Which version of which prompt an include means: at most one of `label` and `version` is set."""

    name: str
    label: str | None = None
    version: int | None = None

    @classmethod
    def read(cls, text: str) -> "Reference":
        """Return what `name`, `name@label` or `name@3` means; raises Invalid for anything else."""
        name, at, which = text.partition("@")
        if not NAME.fullmatch(name) or (at and not (LABEL.fullmatch(which) or NUMBER.fullmatch(which))):
            raise Invalid(
                f"{text!r} does not name a prompt.", hint="Write name, name@label or name@3 (a version)."
            )
        if NUMBER.fullmatch(which):
            return cls(name=name, version=int(which))
        return cls(name=name, label=which or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A named prompt; what it says is in its versions."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...]
    created_at: datetime
    versions: int
    """How many there are; they are numbered from 1."""
    labels: dict[str, int]
    """Label → version number, `latest` included."""
    protected: tuple[str, ...] = ()
    """Labels that move only with another person's approval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptVersion:
    """An immutable version."""

    id: str
    prompt: str
    number: int
    body: Body
    hash: str
    note: str
    """Why it was made."""
    author: str
    created_at: datetime
    includes: tuple[str, ...] = ()
    """Other prompts it includes, as it names them: `name`, `name@label` or `name@3`."""

    @property
    def ref(self) -> str:
        """`name@number`, the form lineage and traces use."""
        return f"{self.prompt}@{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMove:
    """One entry of a label's history."""

    label: str
    version: int
    previous: int | None
    actor: str
    at: datetime
    kind: str = "set"
    """set, rollback or remove (then `version` is what it pointed at)."""
    note: str = ""
    approved_by: str = ""
    """Who approved it, for a protected label."""


class RequestState(StrEnum):
    """What became of a request."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRequest:
    """Somebody's wish to move a protected label, which somebody else decides."""

    id: str
    prompt: str
    label: str
    version: int
    previous: int | None
    """Where the label pointed when it was asked for."""
    state: RequestState
    note: str
    asked_by: str
    """Name of the asker."""
    asker_id: str
    asked_at: datetime
    decided_by: str = ""
    decided_at: datetime | None = None
    reason: str = ""
    """What the decider said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A version of a prompt that includes another."""

    prompt: str
    version: int
    reference: str
    """How it names the included prompt."""
    labels: tuple[str, ...]
    """Labels that point at this version now, `latest` included; empty for one that nobody gets by label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A version filled with values, ready to send to a model."""

    ref: str
    kind: Kind
    text: str
    messages: tuple[dict[str, Any], ...]
    tools: tuple[dict[str, Any], ...]
    output_schema: dict[str, Any] | None
    settings: dict[str, Any]
    includes: dict[str, str] = field(default_factory=dict)
    """Every include, as it is written → the version that was used (`name@3`)."""


def is_template(text: str) -> bool:
    """Whether a text has places that rendering fills in."""
    return _MARK.search(text) is not None


def literal(value: Any) -> Any:
    """Return a template that renders to exactly this text, or to these parts of a message."""
    if isinstance(value, str):
        return value.replace("{", "{{ '{' }}") if is_template(value) else value
    if isinstance(value, Mapping):
        return {name: each if name == "type" else literal(each) for name, each in value.items()}
    return [literal(each) for each in value] if isinstance(value, list | tuple) else value


def check_name(name: str) -> str:
    """Return `name` if it may name a prompt, or raise Invalid."""
    if not NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} is not a prompt name.",
            hint="Use lower-case letters, digits, and . _ -, at most 100, starting with a letter or digit.",
        )
    return name


def check_label(label: str) -> str:
    """Return `label` if people may move it, or raise Invalid."""
    if label == LATEST:
        raise Invalid("The label `latest` moves by itself.", hint="Use another, for example production.")
    if not LABEL.fullmatch(label):
        raise Invalid(
            f"{label!r} is not a label.", hint="Use lower-case letters, digits, and . _ -, at most 50."
        )
    return label


def check_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tags without repetitions, or raise Invalid."""
    found = tuple(dict.fromkeys(tag.strip() for tag in tags))
    if len(found) > MAX_TAGS or any(not tag or len(tag) > MAX_TAG for tag in found):
        raise Invalid(f"A prompt has at most {MAX_TAGS} tags of 1 to {MAX_TAG} characters.")
    return found
