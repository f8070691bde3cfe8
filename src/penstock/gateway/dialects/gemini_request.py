"""A request of Gemini's generateContent as a chat request. Pure functions over decoded JSON.

From https://ai.google.dev/api/generate-content to https://platform.openai.com/docs/api-reference/chat/create.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.gateway.dialects.chat_reading import bad, refused
from penstock.gateway.dialects.gemini import member, snake
from penstock.gateway.dialects.gemini_media import part_to_chat
from penstock.gateway.dialects.gemini_schema import json_schema

WHOM = "a model that is not Gemini's"
KNOWN = frozenset(
    {
        "contents", "systemInstruction", "generationConfig", "tools", "toolConfig", "safetySettings", "cachedContent",
        "labels", "model",
    }
)  # fmt: skip
CONFIG = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_completion_tokens",
    "stopSequences": "stop",
    "candidateCount": "n",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
}
"""Members of generationConfig that mean the same on both sides."""
SHAPED = frozenset(
    {"responseMimeType", "responseSchema", "responseJsonSchema", "responseModalities", "thinkingConfig"}
)
"""Members of generationConfig that are written otherwise."""
HARMLESS_THRESHOLDS = frozenset({"OFF", "BLOCK_NONE", "HARM_BLOCK_THRESHOLD_UNSPECIFIED"})
BUDGETS = ((0, "none"), (1024, "low"), (8192, "medium"))
"""Up to so many tokens of thinking → OpenAI's reasoning_effort; beyond the last it is high."""


def translate_request(
    body: Mapping[str, Any], model: str, *, stream: bool, extensions: bool = True
) -> dict[str, Any]:
    """Return the chat request for a generateContent request.

    With `extensions`, members that OpenAI does not know say what only some providers understand; without, they are
    refused, or left out where they are of use to the model alone that wrote them. Raises Invalid for what has no
    counterpart.
    """
    given = _members(body, KNOWN, "")
    out: dict[str, Any] = {"model": model, "messages": _messages(given, extensions=extensions)}
    if stream:
        out["stream"] = True
        out["stream_options"] = {"include_usage": True}
    config = given.get("generationConfig", {})
    if not isinstance(config, dict):
        raise bad("generationConfig must be an object.", "generationConfig")
    _config(config, out)
    _tools(given, out)
    _safety(given, out, extensions=extensions)
    if isinstance(given.get("labels"), dict):
        out["metadata"] = given["labels"]
    return out


def _members(body: Any, known: frozenset[str], where: str) -> dict[str, Any]:
    """Return an object's members by their names in camel case; raises Invalid for one that is not known."""
    names = {snake(name): name for name in known}
    out: dict[str, Any] = {}
    for name, value in body.items():
        if value is None:
            continue
        camel = name if name in known else names.get(name)
        if camel is None:
            raise refused(f"{where}{name}", WHOM, "it has no such thing")
        out[camel] = value
    return out


# -- messages ----------------------------------------------------------------------------------------------


def contents_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the contents; raises Invalid unless there is at least one."""
    given = body.get("contents")
    contents = [given] if isinstance(given, dict) else given
    if not isinstance(contents, list) or not contents:
        raise bad("contents must be a list with at least one content.", "contents")
    for index, content in enumerate(contents):
        if not isinstance(content, dict):
            raise bad(f"contents[{index}] must be an object.", f"contents[{index}]")
    return contents


def parts_of(content: Any, where: str) -> list[dict[str, Any]]:
    """Return a content's parts; raises Invalid for what is none."""
    if isinstance(content, str):
        return [{"text": content}]
    given = content.get("parts") if isinstance(content, dict) else None
    parts = [given] if isinstance(given, dict) else given or []
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise bad(f"{where}.parts must be a list of objects.", f"{where}.parts")
    return parts


def _messages(given: Mapping[str, Any], *, extensions: bool) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    if given.get("systemInstruction"):
        parts = parts_of(given["systemInstruction"], "systemInstruction")
        out.append({"role": "system", "content": _content(parts, "systemInstruction")})
    ids = _Ids()
    for index, content in enumerate(contents_of(given)):
        where = f"contents[{index}]"
        role = content.get("role") or "user"
        if role not in ("user", "model", "function"):
            raise bad(f"{where}.role must be user or model.", f"{where}.role")
        parts = parts_of(content, where)
        if role == "model":
            out.append(_assistant(parts, where, ids, extensions=extensions))
        else:
            out += _user(parts, where, ids)
    return out


class _Ids:
    """Names of the calls of a conversation: Gemini may leave them out, and then results follow in order."""

    def __init__(self) -> None:
        self._made = 0
        self._open: list[tuple[str, str]] = []

    def call(self, call: Mapping[str, Any]) -> str:
        self._made += 1
        identity = str(call.get("id") or f"call_{self._made}")
        self._open.append((identity, str(call.get("name") or "")))
        return identity

    def result(self, response: Mapping[str, Any], where: str) -> str:
        identity, name = response.get("id"), response.get("name")
        for at, (known, called) in enumerate(self._open):
            if known == identity or (not identity and called == name):
                return self._open.pop(at)[0]
        if identity:
            return str(identity)
        raise bad(f"{where} answers no call of {name!r} before it.", where)


def _content(parts: list[dict[str, Any]], where: str) -> Any:
    made = [_part(part, f"{where}.parts[{index}]") for index, part in enumerate(parts)]
    if all(part["type"] == "text" for part in made):
        return made[0]["text"] if len(made) == 1 else (made or "")
    return made


def _part(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    text = part.get("text")
    if isinstance(text, str):
        return {"type": "text", "text": text}
    return part_to_chat(part, where)


def _user(parts: list[dict[str, Any]], where: str, ids: _Ids) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for index, part in enumerate(parts):
        response = member(part, "functionResponse")
        if isinstance(response, dict):
            out.append(_tool_result(response, f"{where}.parts[{index}]", ids))
        else:
            others.append(part)
    if others or not out:
        out.append({"role": "user", "content": _content(others, where)})
    return out


def _tool_result(response: Mapping[str, Any], where: str, ids: _Ids) -> dict[str, Any]:
    if response.get("parts"):
        raise bad(f"{where}.functionResponse.parts: a tool's result is only text outside Gemini.", where)
    identity = ids.result(response, f"{where}.functionResponse")
    found = response.get("response")
    if isinstance(found, dict) and set(found) == {"output"} and isinstance(found["output"], str):
        text = found["output"]
    else:
        text = msgspec.json.encode(found if found is not None else {}).decode()
    return {"role": "tool", "tool_call_id": identity, "content": text}


def _assistant(parts: list[dict[str, Any]], where: str, ids: _Ids, *, extensions: bool) -> dict[str, Any]:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    signature = ""
    for index, part in enumerate(parts):
        call, text, signed = member(part, "functionCall"), part.get("text"), member(part, "thoughtSignature")
        if isinstance(call, dict):
            calls.append(_tool_call(call, ids, signed if extensions else None))
            continue
        signature = signed or signature
        if isinstance(text, str):
            (thoughts if part.get("thought") else texts).append(text)
        else:
            raise bad(
                f"{where}.parts[{index}] holds {', '.join(part) or 'nothing'}, which only Gemini models take back.",
                where,
            )
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) or (None if calls else "")}
    if calls:
        message["tool_calls"] = calls
    if extensions and thoughts:
        message["reasoning_content"] = "".join(thoughts)
    if extensions and signature:
        message["extra_content"] = {"google": {"thought_signature": signature}}
    return message


def _tool_call(call: Mapping[str, Any], ids: _Ids, signature: Any) -> dict[str, Any]:
    arguments = msgspec.json.encode(call.get("args") or {}).decode()
    made: dict[str, Any] = {
        "id": ids.call(call),
        "type": "function",
        "function": {"name": call.get("name"), "arguments": arguments},
    }
    if signature:
        made["extra_content"] = {"google": {"thought_signature": signature}}
    return made


# -- how to generate ---------------------------------------------------------------------------------------


def _config(given: Mapping[str, Any], out: dict[str, Any]) -> None:
    config = _members(given, frozenset(CONFIG) | SHAPED, "generationConfig.")
    out |= {CONFIG[name]: value for name, value in config.items() if name in CONFIG}
    _format(config, out)
    modalities = config.get("responseModalities") or ["TEXT"]
    if not isinstance(modalities, list):
        raise bad(
            "generationConfig.responseModalities must be a list.", "generationConfig.responseModalities"
        )
    if "AUDIO" in modalities:
        raise refused("generationConfig.responseModalities", WHOM, "it does not speak here")
    if modalities != ["TEXT"]:
        out["modalities"] = [str(each).lower() for each in modalities]
    if isinstance(config.get("thinkingConfig"), dict):
        effort = _effort(config["thinkingConfig"])
        if effort:
            out["reasoning_effort"] = effort


def _format(config: Mapping[str, Any], out: dict[str, Any]) -> None:
    media = config.get("responseMimeType")
    schema = config.get("responseJsonSchema")
    if schema is None and isinstance(config.get("responseSchema"), dict):
        schema = json_schema(config["responseSchema"])
    if media not in (None, "text/plain", "application/json"):
        raise refused("generationConfig.responseMimeType", WHOM, f"it cannot answer in {media}")
    if schema is not None:
        inner = {"name": "response", "schema": schema}
        out["response_format"] = {"type": "json_schema", "json_schema": inner}
    elif media == "application/json":
        out["response_format"] = {"type": "json_object"}


def _effort(thinking: Mapping[str, Any]) -> str:
    level, budget = member(thinking, "thinkingLevel"), member(thinking, "thinkingBudget")
    if isinstance(level, str) and level != "THINKING_LEVEL_UNSPECIFIED":
        return level.lower()
    if not isinstance(budget, int) or budget < 0:
        return ""  # the model decides, as it does when it is not told
    return next((effort for most, effort in BUDGETS if budget <= most), "high")


def _safety(given: Mapping[str, Any], out: dict[str, Any], *, extensions: bool) -> None:
    settings = given.get("safetySettings", [])
    if not isinstance(settings, list):
        raise bad("safetySettings must be a list.", "safetySettings")
    strict = [
        each
        for each in settings
        if not isinstance(each, dict) or str(each.get("threshold")) not in HARMLESS_THRESHOLDS
    ]
    if strict and not extensions:
        raise refused(
            "safetySettings", WHOM, "it has no such thing (thresholds of OFF or BLOCK_NONE are fine)"
        )
    if strict:
        out["safety_settings"] = strict
    if given.get("cachedContent") and not extensions:
        raise refused("cachedContent", WHOM, "it is kept by Google")
    if given.get("cachedContent"):
        out["cached_content"] = given["cachedContent"]


# -- what the model may do ---------------------------------------------------------------------------------


def _tools(given: Mapping[str, Any], out: dict[str, Any]) -> None:
    tools = given.get("tools") or []
    if not isinstance(tools, list):
        raise bad("tools must be a list.", "tools")
    made: list[dict[str, Any]] = []
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise bad(f"{where} must be an object.", where)
        for name in _members(tool, frozenset({"functionDeclarations"}), f"{where}."):
            declared = member(tool, name)
            if not isinstance(declared, list):
                raise bad(f"{where}.{name} must be a list.", f"{where}.{name}")
            made += [_function(each, f"{where}.{name}[{at}]") for at, each in enumerate(declared)]
    choice, allowed = _choice(member(given, "toolConfig"))
    if allowed:
        made = [tool for tool in made if tool["function"]["name"] in allowed]
    if made:
        out["tools"] = made
        if choice:
            out["tool_choice"] = choice


def _function(declared: Any, where: str) -> dict[str, Any]:
    if not isinstance(declared, dict) or not isinstance(declared.get("name"), str):
        raise bad(f"{where} needs a name.", where)
    function: dict[str, Any] = {"name": declared["name"]}
    if declared.get("description"):
        function["description"] = declared["description"]
    schema = member(declared, "parametersJsonSchema")
    if schema is None and isinstance(declared.get("parameters"), dict):
        schema = json_schema(declared["parameters"])
    if schema is not None:
        function["parameters"] = schema
    return {"type": "function", "function": function}


def _choice(config: Any) -> tuple[Any, list[str]]:
    """Return (tool_choice, the names of the only functions allowed)."""
    calling = member(config, "functionCallingConfig") if isinstance(config, dict) else None
    if not isinstance(calling, dict):
        return None, []
    mode, names = str(calling.get("mode") or "").upper(), member(calling, "allowedFunctionNames") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise bad("allowedFunctionNames must be a list of names.", "toolConfig")
    if mode == "ANY" and len(names) == 1:
        return {"type": "function", "function": {"name": names[0]}}, names
    # VALIDATED also promises calls that fit their schema, which other models do by themselves or not at all.
    kinds = {"AUTO": "auto", "VALIDATED": "auto", "ANY": "required", "NONE": "none"}
    if mode not in (*kinds, "", "MODE_UNSPECIFIED"):
        raise bad("toolConfig.functionCallingConfig.mode must be AUTO, ANY, NONE or VALIDATED.", "toolConfig")
    return kinds.get(mode), names
