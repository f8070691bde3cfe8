"""A chat request as a request of Bedrock's Converse API. Pure functions over decoded JSON.

From https://platform.openai.com/docs/api-reference/chat/create to
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.gateway.dialects.chat_reading import (
    attempt,
    bad,
    calls_of,
    check_members,
    check_single_calls,
    choice_of,
    data_url,
    functions_of,
    inner_of,
    left_out,
    limit_of,
    messages_of,
    parts_of,
    refused,
    schema_format,
    schema_of,
    stops_of,
    text_of,
    tool_call_id,
)

WHOM = "Bedrock's Converse API"
OWN = (
    "guardrailConfig",
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "requestMetadata",
    "performanceConfig",
    "serviceTier",
    "promptVariables",
    "outputConfig",
)
"""Members of Converse itself, which a caller may send on purpose."""
MODEL_FIELDS = ("thinking", "top_k")
"""Members that go to the model as they are."""
KNOWN = frozenset(
    {
        "model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "stream", "tools",
        "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "service_tier", *MODEL_FIELDS,
        *OWN,
    }
)  # fmt: skip
EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
TIERS = {"default": "default", "flex": "flex", "priority": "priority"}
IMAGES = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
AUDIO = ("mp3", "wav", "opus", "aac", "flac", "ogg", "m4a", "webm")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9 ()\[\]-]+")

Block = dict[str, Any]


def translate_request(body: Mapping[str, Any], *, drop: bool = False) -> dict[str, Any]:
    """Return the Converse request for a chat request; the model and the manner are in Converse's path.

    Raises Invalid for what cannot be said there; with `drop`, unsupported members are left out instead.
    """
    if not drop:
        check_members(body, KNOWN, WHOM)
    system, messages = _messages(body)
    out: dict[str, Any] = {"messages": messages}
    if system:
        out["system"] = system
    if inference := _inference(body):
        out["inferenceConfig"] = inference
    for part in (_tools, _format, _effort, _tier):
        attempt(part, body, out, drop=drop)
    for name in OWN:
        if body.get(name) is not None:
            own = body[name]
            out[name] = out[name] | own if isinstance(out.get(name), dict) and isinstance(own, dict) else own
    if fields := {name: body[name] for name in MODEL_FIELDS if body.get(name) is not None}:
        out["additionalModelRequestFields"] = fields | (body.get("additionalModelRequestFields") or {})
    return out


def _inference(body: Mapping[str, Any]) -> dict[str, Any]:
    temperature = body.get("temperature")
    if isinstance(temperature, int | float):
        temperature = min(temperature, 1)  # OpenAI's scale goes to 2
    found = {
        "maxTokens": limit_of(body),
        "temperature": temperature,
        "topP": body.get("top_p"),
        "stopSequences": stops_of(body) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


# -- messages ----------------------------------------------------------------------------------------------


def _messages(body: Mapping[str, Any]) -> tuple[list[Block], list[dict[str, Any]]]:
    system: list[Block] = []
    out: list[dict[str, Any]] = []
    for where, role, message in messages_of(body):
        if role == "system":
            system += _system(message, where)
        elif role == "assistant":
            _append(out, "assistant", _assistant(message, where))
        elif role == "tool":
            _append(out, "user", _tool_result(message, where))
        else:
            _append(out, "user", _content(message.get("content"), where))
    if not out:
        raise bad("messages needs a user message beside the system prompt.", "messages")
    _name_apart([block["document"] for message in out for block in message["content"] if "document" in block])
    return system, out


def _name_apart(documents: list[dict[str, Any]]) -> None:
    """Make the documents' names differ: the same name twice is refused there."""
    seen: set[str] = set()
    for document in documents:
        name, number = document["name"], 1
        while document["name"] in seen:
            number += 1
            document["name"] = f"{name[:190]} ({number})"
        seen.add(document["name"])


def _system(message: Mapping[str, Any], where: str) -> list[Block]:
    blocks = _content(message.get("content"), where)
    if not all("text" in block or "cachePoint" in block for block in blocks):
        raise bad(f"{where}.content must be text: {WHOM} takes no other system prompt.", f"{where}.content")
    return blocks


def _append(out: list[dict[str, Any]], role: str, blocks: list[Block]) -> None:
    # Roles must alternate, and all results of one turn belong into one message.
    if not blocks:
        return
    if out and out[-1]["role"] == role:
        out[-1]["content"] += blocks
    else:
        out.append({"role": role, "content": blocks})


def _content(content: Any, where: str) -> list[Block]:
    out: list[Block] = []
    for place, part in parts_of(content, where):
        text = text_of(part)
        if text is None:
            out.append(_media(part, place))
        elif text.strip():  # blank text is refused there
            out.append({"text": text})
        if part.get("cache_control"):
            out.append(cache_point(part["cache_control"]))
    return out


def cache_point(control: Any) -> Block:
    """Return the block after which the provider may keep what it has read."""
    ttl = control.get("ttl") if isinstance(control, dict) else None
    return {"cachePoint": {"type": "default"} | ({"ttl": ttl} if ttl in ("5m", "1h") else {})}


def _media(part: Mapping[str, Any], where: str) -> Block:
    kind = part.get("type")
    if kind == "image_url":
        url = inner_of(part, "image_url", where).get("url")
        form, data = _bytes(url, f"{where}.image_url.url", IMAGES)
        return {"image": {"format": form, "source": {"bytes": data}}}
    if kind == "file":
        file = inner_of(part, "file", where)
        form, data = _bytes(file.get("file_data"), f"{where}.file.file_data", DOCUMENTS)
        name = " ".join(_NOT_IN_NAMES.sub(" ", str(file.get("filename") or "")).split())[:200]
        return {"document": {"format": form, "name": name or "document", "source": {"bytes": data}}}
    if kind == "input_audio":
        audio = inner_of(part, "input_audio", where)
        if audio.get("format") not in AUDIO:
            raise bad(f"{where}.input_audio.format must be one of {', '.join(AUDIO)}.", where)
        return {"audio": {"format": audio["format"], "source": {"bytes": audio.get("data")}}}
    raise bad(f"{where} has the type {kind!r}, which {WHOM} does not take.", where)


def _bytes(value: Any, where: str, formats: Mapping[str, str]) -> tuple[str, str]:
    found = data_url(value, where)
    if found is None:
        raise bad(f"{where} is a URL, and {WHOM} fetches none: send the bytes as a data URL.", where)
    if found.media not in formats:
        raise bad(f"{where} is of the type {found.media!r}; {WHOM} takes {', '.join(formats)}.", where)
    return formats[found.media], found.data


def _assistant(message: Mapping[str, Any], where: str) -> list[Block]:
    # Thoughts without a signature are left out: the provider would not take them back.
    blocks: list[Block] = []
    for thought in message.get("thinking_blocks") or ():
        if not isinstance(thought, dict):
            raise bad(f"{where}.thinking_blocks must be a list of objects.", f"{where}.thinking_blocks")
        if thought.get("type") == "redacted_thinking":
            blocks.append({"reasoningContent": {"redactedContent": thought.get("data")}})
        elif thought.get("signature"):
            told = {"text": thought.get("thinking", ""), "signature": thought["signature"]}
            blocks.append({"reasoningContent": {"reasoningText": told}})
    blocks += _content(message.get("content"), where)
    blocks += [
        {"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.arguments}}
        for call in calls_of(message, where)
    ]
    return blocks


def _tool_result(message: Mapping[str, Any], where: str) -> list[Block]:
    blocks = _content(message.get("content"), where)
    content = [block for block in blocks if "cachePoint" not in block]
    result = {"toolUseId": tool_call_id(message, where), "content": content or [{"text": "(empty)"}]}
    if message.get("is_error"):
        result["status"] = "error"
    # A point inside a result is not possible there; the one right after it keeps the same and a little more.
    if message.get("cache_control"):
        blocks.append(cache_point(message["cache_control"]))
    return [{"toolResult": result}, *[block for block in blocks if "cachePoint" in block][-1:]]


# -- what the model may do ---------------------------------------------------------------------------------


def _tools(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    tools: list[Block] = []
    for tool, function in functions_of(body, WHOM):
        spec: dict[str, Any] = {"name": function["name"], "inputSchema": {"json": schema_of(function)}}
        if function.get("description"):
            spec["description"] = function["description"]
        if function.get("strict") is True:
            spec["strict"] = True
        tools.append({"toolSpec": spec})
        if tool.get("cache_control"):
            tools.append(cache_point(tool["cache_control"]))
    choice = choice_of(body)
    if tools:
        out["toolConfig"] = {"tools": tools}
        _choice(choice, out)
        check_single_calls(body, WHOM)


def _choice(choice: tuple[str, str], out: dict[str, Any]) -> None:
    kind, name = choice
    said: dict[str, Any] = {"auto": {"auto": {}}, "required": {"any": {}}, "named": {"tool": {"name": name}}}
    if kind in said:
        out["toolConfig"]["toolChoice"] = said[kind]
    elif kind == "none":
        if any("toolUse" in block for message in out["messages"] for block in message["content"]):
            raise refused(
                "tool_choice", WHOM, "none is unknown there while the conversation holds tool calls"
            )
        del out["toolConfig"]  # a model without tools calls none


def _format(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    if left_out("response_format", body.get("response_format")):
        return
    inner = schema_format(body)
    if inner is None:
        raise refused("response_format", WHOM, "only json_schema with a schema has a counterpart there")
    definition = {"schema": msgspec.json.encode(inner["schema"]).decode()}
    definition |= {name: inner[name] for name in ("name", "description") if inner.get(name)}
    text = {"type": "json_schema", "structure": {"jsonSchema": definition}}
    out.setdefault("outputConfig", {})["textFormat"] = text


def _effort(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    effort = body.get("reasoning_effort")
    if effort is None or effort == "none":
        return
    if not isinstance(effort, str) or effort not in EFFORTS:
        raise refused("reasoning_effort", WHOM, f"{effort!r} is none of {', '.join(EFFORTS)}")
    out.setdefault("outputConfig", {})["effort"] = EFFORTS[effort]


def _tier(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    tier = body.get("service_tier")
    if left_out("service_tier", tier):
        return
    if tier not in TIERS:
        raise refused("service_tier", WHOM, f"{tier!r} is none of auto, {', '.join(TIERS)}")
    out["serviceTier"] = {"type": TIERS[tier]}
