"""Cursor paging: `{"items": [...], "next": "..."}`, where `next` is opaque and null at the end."""

import base64
import binascii
from typing import Any, Generic, TypeVar

import msgspec
from pydantic import BaseModel

from penstock.core.errors import Invalid

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: str | None = None


def encode_cursor(*values: Any) -> str:
    """Return an opaque cursor that holds JSON `values`."""
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).decode().rstrip("=")


def decode_cursor(cursor: str, length: int) -> list[Any]:
    """Return the `length` values of a cursor made by `encode_cursor`; raises Invalid for anything else."""
    try:
        values = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise Invalid("The cursor is not valid.", hint="Use the `next` of the page before.") from error
    if not isinstance(values, list) or len(values) != length:
        raise Invalid("The cursor is not valid.", hint="Use the `next` of the page before.")
    return values
