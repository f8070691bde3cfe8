"""Nouns and pure rules of prompts. Rendering is in `template`, comparing in `diff`."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from penstock.core.errors import Invalid

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
LABEL = re.compile(r"[a-z][a-z0-9._-]{0,49}")
LATEST = "latest"
"""The label that always points at the newest version; nobody moves it by hand."""


class Variable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that rendering needs."""

    name: str
    type: str = "string"
    """string, number, boolean, list, object or messages (a list of role/content objects)."""
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
    """`{"role", "content"}` templates, for kind chat; `{"placeholder": NAME}` inserts a list of messages."""
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
        for number, message in enumerate(self.messages, 1):
            check_message(message, number)
        names = [variable.name for variable in self.variables]
        if len(set(names)) != len(names):
            raise Invalid("Two variables have the same name.")

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the canonical JSON of the body."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


ROLES = ("system", "developer", "user", "assistant", "tool")


def check_message(message: dict[str, Any], number: int) -> None:
    """Raise Invalid unless `message` is a role/content template or a placeholder."""
    if "placeholder" in message:
        if set(message) != {"placeholder"} or not isinstance(message["placeholder"], str):
            raise Invalid(f'Message {number}: a placeholder is written {{"placeholder": "NAME"}}.')
        return
    if message.get("role") not in ROLES:
        raise Invalid(f"Message {number} needs a role: one of {', '.join(ROLES)}.")
    if not isinstance(message.get("content"), str | list):
        raise Invalid(f"Message {number} needs a `content` of text or parts.")


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
