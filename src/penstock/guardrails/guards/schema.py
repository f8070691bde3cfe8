"""Answers have to be JSON, by a JSON schema if one is given."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from penstock.guardrails import json_schema
from penstock.guardrails.model import About, Action, Hit, Stage
from penstock.guardrails.options import Options
from penstock.guardrails.ports import Setting

MAX_DEPTH = 100


class SchemaGuard:
    """Options: `schema` (JSON Schema; without one any JSON will do), `fenced` (a Markdown code fence is fine)."""

    stages: ClassVar = (Stage.OUTPUT,)
    actions: ClassVar = (Action.BLOCK, Action.FLAG)
    roles: frozenset[str] = frozenset()

    def __init__(self, options: Mapping[str, Any], setting: Setting) -> None:  # noqa: ARG002 - what every plug-in gets
        given = Options("schema", options)
        schema = given.table("schema")
        self._fenced = given.flag("fenced")
        given.done()
        self._schema = json_schema.compiled(schema) if schema is not None else None

    def judge(self, text: str, about: About) -> Sequence[Hit]:  # noqa: ARG002 - what every guard gets
        """Return a hit unless `text` is what was asked for; an answer without text (tool calls alone) is let be."""
        body = text.strip()
        if not body:
            return ()
        if self._fenced and body.startswith("```") and body.endswith("```"):
            body = body[3:-3].partition("\n")[2]
        try:
            value = msgspec.json.decode(body.encode(errors="replace"))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return [Hit("not_json")]
        wrong = self._schema.wrong(value) if self._schema is not None else None
        return [Hit(f"schema:{wrong}")] if wrong is not None else ()
