"""Requests that name a managed prompt, made into requests that say everything themselves."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from penstock.core.errors import Invalid, NotFound, PenstockError
from penstock.core.scope import Scope
from penstock.gateway.asking import user_of
from penstock.gateway.call import Call, Rewritten
from penstock.gateway.dialects.envelope import Envelope, Fields
from penstock.gateway.dialects.envelope import members as members_of
from penstock.gateway.dividing.choosing import place
from penstock.gateway.model import Operation
from penstock.gateway.prompting.shelf import Shelf, Wanted
from penstock.gateway.prompting.writing import LIMITS, WRITERS, Members
from penstock.gateway.routing.live import LiveSplit
from penstock.prompts.model import LABEL, PRODUCTION, Rendered

MEMBER = "prompt"
"""A body without it names no prompt."""
HOSTED = "pmpt_"
"""How ids of prompts kept by OpenAI begin (https://platform.openai.com/docs/api-reference/responses/create)."""
MAX_INCLUDES_NOTED = 20
_list = msgspec.json.Decoder(list[msgspec.Raw])
_said = msgspec.json.Decoder(str | list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.encode
_NULL = b"null"


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """The member `prompt` of a request. OpenAI's clients name it by `id` and write the version as text."""

    name: str | None = None
    id: str | None = None
    label: str | None = None
    version: int | str | None = None
    variables: dict[str, Any] | None = None

    def wanted(self, scope: Scope) -> Wanted:
        """Return which version is meant; raises Invalid when that is not clear."""
        if (self.name is None) == (self.id is None):
            raise _bad("prompt needs a name (or an id).", "prompt.name")
        version, label = self.version, self.label
        if isinstance(version, str):
            if version.isdecimal() and len(version) < 10:
                version = int(version)
            elif label is None and LABEL.fullmatch(version):
                version, label = None, version
            else:
                raise _bad("prompt.version must be a version's number.", "prompt.version")
        if version is not None and label is not None:
            raise _bad("Give prompt.version or prompt.label, not both.", "prompt.label")
        return Wanted(scope, self.name or self.id or "", version, label)


_asked = msgspec.json.Decoder(Asked)


def _bad(message: str, param: str, code: str = "invalid_value") -> Invalid:
    return Invalid(message, details={"param": param, "code": code})


PromptSplits = Mapping[tuple[str, str], LiveSplit]
"""(name or id, label) of a prompt → how a release divides the calls that name it."""


def _divided(call: Call, wanted: Wanted, splits: PromptSplits, body: bytes) -> Wanted:
    """Return the version that the call's arm has, when a release divides the prompt."""
    if wanted.version is not None:
        return wanted
    split = splits.get((wanted.name, wanted.label or PRODUCTION))
    if split is None:
        return wanted
    call.user = user_of(call.headers, Envelope(body, model="-", stream=False))
    return wanted._replace(version=place(call, split).version, label=None)


class Prompting:
    """Fills prompts into the requests of one process."""

    def __init__(self, shelf: Shelf, splits: Callable[[Call], PromptSplits]) -> None:
        """`splits` returns the prompts that releases divide where a call belongs."""
        self._shelf = shelf
        self._splits = splits

    async def read(
        self,
        call: Call,
        body: bytes,
        operation: Operation,
        *,
        model: str | None,
        stream: bool | None,
        default: str,
    ) -> Envelope:
        """Open a request, with the prompt that it names filled in; raises as Envelope and `_expand` do."""
        fields = members_of(body)
        whole = await self._expand(call, body, fields, operation)
        return Envelope(
            whole, fields=fields if whole is body else None, model=model, stream=stream, default=default
        )

    async def _expand(self, call: Call, body: bytes, fields: Fields, operation: Operation) -> bytes:
        """Return the request, whose members are `fields`, with its prompt filled in, and note which version that was.

        Whatever the caller says himself wins over the prompt's settings, tools and format; his messages follow the
        prompt's. Raises NotFound or Invalid, naming the member, for a prompt or values that do not fit.
        """
        if operation not in WRITERS or MEMBER not in fields:
            return body
        asked, fields = _asked_in(fields)
        if asked is None or (asked.id or "").startswith(HOSTED):
            return body
        assert call.scope is not None
        try:
            wanted = asked.wanted(call.scope)
            if splits := self._splits(call):
                wanted = _divided(call, wanted, splits, body)
            compiled = await self._shelf.get(wanted)
            values = _values(asked.variables or {})
            if call.arm is not None and (shadow := call.arm.split.copies) is not None:
                copied = wanted._replace(version=shadow.version, label=None)
                call.rewritten = Rewritten(shadow, partial(self._written, copied, fields, values, operation))
            call.prompt = compiled.version.ref
            call.extra.append((b"x-penstock-prompt", call.prompt.encode()))
            if compiled.pinned:
                pinned = sorted(set(compiled.pinned.values()))
                call.notes["prompt_includes"] = " ".join(pinned[:MAX_INCLUDES_NOTED])
            if asked.label is not None:
                call.notes["prompt_label"] = asked.label
            rendered = compiled.render(values)
            return _merged(fields, rendered, operation)
        except PenstockError as error:
            code = "prompt_not_found" if isinstance(error, NotFound) else "invalid_prompt"
            error.details.setdefault("param", "prompt")
            error.details.setdefault("code", code)
            raise

    async def _written(
        self, wanted: Wanted, fields: Fields, values: Mapping[str, Any], operation: Operation
    ) -> tuple[bytes, str]:
        """Return a request with a version filled in, and that version's name."""
        compiled = await self._shelf.get(wanted)
        return _merged(fields, compiled.render(values), operation), compiled.version.ref


def _asked_in(given: Fields) -> tuple[Asked | None, Fields]:
    """Return the member `prompt` and all others; None when there is none."""
    fields = dict(given)
    raw = fields.pop(MEMBER)
    if bytes(raw) == _NULL:
        return None, fields
    try:
        return _asked.decode(raw), fields
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _bad(f"The field prompt is not one: {error}.", "prompt") from error


def _values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables; content as OpenAI's Responses API writes it (text or an image) becomes its text or URL."""
    out: dict[str, Any] = {}
    for name, value in given.items():
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "input_text" and isinstance(value.get("text"), str):
            value = value["text"]
        elif kind == "input_image" and isinstance(value.get("image_url"), str):
            value = value["image_url"]
        out[name] = value
    return out


def _merged(fields: Fields, rendered: Rendered, operation: Operation) -> bytes:
    said, write = WRITERS[operation]
    members = write(rendered)
    spoken = [msgspec.Raw(_encode(each)) for each in members.pop(said)]
    own = {name: raw for name, raw in fields.items() if bytes(raw) != _NULL}
    if any(name in own for name in LIMITS):
        for name in LIMITS:
            members.pop(name, None)
    if "text" in members and "text" in own:
        own["text"] = _with_format(own["text"], members)
    merged: dict[str, Any] = {**members, **own}
    merged[said] = spoken + _turns(own.get(said), said)
    return _encode(merged)


def _with_format(raw: msgspec.Raw, members: Members) -> msgspec.Raw:
    """Return the caller's `text` with the prompt's format, unless it has one."""
    try:
        given = _object.decode(raw)
    except msgspec.DecodeError:
        return raw  # refused where it is understood
    return msgspec.Raw(_encode({**members["text"], **given}))


def _turns(raw: msgspec.Raw | None, said: str) -> list[msgspec.Raw]:
    """Return what the caller says beyond the prompt."""
    if raw is None:
        return []
    try:
        if said == "messages":
            return _list.decode(raw)
        found = _said.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        wanted = "a list" if said == "messages" else "text or a list of items"
        raise _bad(f"The field {said} must be {wanted}.", said) from error
    if isinstance(found, list):
        return found
    return [msgspec.Raw(_encode({"role": "user", "content": found}))]
