"""A chat request's messages as Anthropic's: roles, content blocks, tool results. Pure.

From https://platform.openai.com/docs/api-reference/chat/create to https://docs.anthropic.com/en/api/messages.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from penstock.gateway.dialects.chat_reading import (
    bad,
    calls_of,
    data_url,
    inner_of,
    messages_of,
    parts_of,
    text_of,
    tool_call_id,
)

WHOM = "an Anthropic model"
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
OF_DOCUMENTS = ("title", "context", "citations")
"""Members of a document that a caller may send on purpose, inside of `file`."""
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")

Block = dict[str, Any]


def translate_messages(body: Mapping[str, Any]) -> tuple[list[Block], list[dict[str, Any]]]:
    """Return the system prompt's blocks and the messages; raises Invalid for what cannot be said there.

    System and developer messages go into the system prompt, wherever they stand.
    """
    system: list[Block] = []
    out: list[dict[str, Any]] = []
    for where, role, message in messages_of(body):
        if role == "system":
            system += _system(message, where)
        elif role == "assistant":
            _append(out, "assistant", _assistant(message, where))
        elif role == "tool":
            _append(out, "user", [_tool_result(message, where)])
        else:
            _append(out, "user", _content(message.get("content"), where))
    if not out:
        raise bad("messages needs a user message beside the system prompt.", "messages")
    return system, out


def _append(out: list[dict[str, Any]], role: str, blocks: list[Block]) -> None:
    # Roles must alternate, and all results of one turn belong into one message.
    blocks = _said(blocks)
    if not blocks:
        return
    if out and out[-1]["role"] == role:
        out[-1]["content"] += blocks
    else:
        out.append({"role": role, "content": blocks})


def _system(message: Mapping[str, Any], where: str) -> list[Block]:
    blocks = _content(message.get("content"), where)
    if any(block["type"] != "text" for block in blocks):
        raise bad(f"{where}.content must be text: {WHOM} takes no other system prompt.", f"{where}.content")
    return blocks


# -- parts -------------------------------------------------------------------------------------------------


def _content(content: Any, where: str) -> list[Block]:
    blocks = [_block(part, place) for place, part in parts_of(content, where)]
    return [block for block in blocks if block.get("text") != ""]


def _said(blocks: list[Block]) -> list[Block]:
    # Blank text beside something else says nothing, and is refused there.
    return [block for block in blocks if len(blocks) == 1 or block["type"] != "text" or block["text"].strip()]


def _block(part: Mapping[str, Any], where: str) -> Block:
    text = text_of(part)
    kind = part.get("type")
    if text is not None:
        block: Block = {"type": "text", "text": text}
    elif kind == "image_url":
        url = inner_of(part, "image_url", where).get("url")
        block = {"type": "image", "source": _image(url, f"{where}.image_url.url")}
    elif kind == "file":
        block = _document(inner_of(part, "file", where), where)
    else:
        raise bad(f"{where} has the type {kind!r}, which {WHOM} does not take.", where)
    if part.get("cache_control") is not None:
        block["cache_control"] = part["cache_control"]
    return block


def _image(url: Any, where: str) -> dict[str, Any]:
    found = data_url(url, where)
    if found is None:
        return {"type": "url", "url": url}
    media = "image/jpeg" if found.media == "image/jpg" else found.media
    if media not in IMAGES:
        raise bad(f"{where} is of the type {found.media!r}; {WHOM} takes {', '.join(IMAGES)}.", where)
    return {"type": "base64", "media_type": media, "data": found.data}


def _document(file: Mapping[str, Any], where: str) -> Block:
    if file.get("file_data") is None and file.get("file_id") is not None:
        raise bad(
            f"{where}.file.file_id names a file of another provider: send its content as file_data.",
            f"{where}.file.file_id",
        )
    block: Block = {
        "type": "document",
        "source": _file_source(file.get("file_data"), f"{where}.file.file_data"),
    }
    if file.get("filename"):
        block["title"] = str(file["filename"])
    return block | {name: file[name] for name in OF_DOCUMENTS if file.get(name) is not None}


def _file_source(value: Any, where: str) -> dict[str, Any]:
    found = data_url(value, where)
    if found is None:
        return {"type": "url", "url": value}
    if found.media == "application/pdf":
        return {"type": "base64", "media_type": found.media, "data": found.data}
    if not found.media.startswith("text/") and found.media != "application/json":
        raise bad(f"{where} is of the type {found.media!r}; {WHOM} takes PDF and text.", where)
    try:
        text = base64.b64decode(found.data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise bad(f"{where} is not text in UTF-8 and base64.", where) from error
    return {"type": "text", "media_type": "text/plain", "data": text}


# -- turns -------------------------------------------------------------------------------------------------


def _assistant(message: Mapping[str, Any], where: str) -> list[Block]:
    blocks = [*_thoughts(message, where), *_content(message.get("content"), where)]
    given = message.get("tool_calls") or ()
    for index, (call, raw) in enumerate(zip(calls_of(message, where), given, strict=True)):
        if not call.id:
            raise bad(f"{where}.tool_calls[{index}] needs an id.", f"{where}.tool_calls[{index}].id")
        block = {"type": "tool_use", "id": _id(call.id), "name": call.name, "input": call.arguments}
        if raw.get("cache_control") is not None:
            block["cache_control"] = raw["cache_control"]
        blocks.append(block)
    return blocks


def _thoughts(message: Mapping[str, Any], where: str) -> list[Block]:
    # Thoughts without a signature, those of other models above all, are not taken back there.
    blocks: list[Block] = []
    thoughts = message.get("thinking_blocks") or ()
    if not isinstance(thoughts, list | tuple) or not all(isinstance(each, dict) for each in thoughts):
        raise bad(f"{where}.thinking_blocks must be a list of objects.", f"{where}.thinking_blocks")
    for thought in thoughts:
        if thought.get("type") == "redacted_thinking":
            blocks.append({"type": "redacted_thinking", "data": thought.get("data")})
        elif thought.get("signature"):
            told = {"thinking": thought.get("thinking") or "", "signature": thought["signature"]}
            blocks.append({"type": "thinking", **told})
    return blocks


def _tool_result(message: Mapping[str, Any], where: str) -> Block:
    content = message.get("content")
    blocks = content if isinstance(content, str) else _content(content, where)
    block: Block = {
        "type": "tool_result",
        "tool_use_id": _id(tool_call_id(message, where)),
        "content": blocks,
    }
    if message.get("is_error"):
        block["is_error"] = True
    if message.get("cache_control") is not None:
        block["cache_control"] = message["cache_control"]
    return block


def _id(identity: str) -> str:
    """Return the id of a call with what is not allowed there replaced; the same in the call and in its result."""
    return _NOT_IN_IDS.sub("_", identity)
