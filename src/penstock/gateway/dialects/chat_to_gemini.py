"""A chat request as a request of Gemini's generateContent. Pure functions over decoded JSON.

From https://platform.openai.com/docs/api-reference/chat/create to https://ai.google.dev/api/generate-content. Members
of Gemini itself come in the names of Google's own OpenAI-compatible endpoint
(https://ai.google.dev/gemini-api/docs/openai): `extra_body.google`, `extra_content.google.thought_signature`.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.gateway.dialects.chat_reading import (
    Call,
    attempt,
    bad,
    calls_of,
    check_members,
    check_single_calls,
    choice_of,
    functions_of,
    left_out,
    limit_of,
    messages_of,
    refused,
    schema_format,
    stops_of,
    tool_call_id,
)
from penstock.gateway.dialects.gemini import member
from penstock.gateway.dialects.gemini_media import Part, parts_to_gemini

WHOM = "a Gemini model"
GOOGLE = {
    "safety_settings": "safetySettings",
    "cached_content": "cachedContent",
    "labels": "labels",
}
"""Members of Gemini itself, which a caller may send on purpose, beside `thinking_config`."""
PLAIN = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "top_logprobs": "logprobs",
}
"""Members that mean the same on both sides."""
KNOWN = frozenset(
    {
        "model", "messages", "max_tokens", "max_completion_tokens", "stop", "stream", "tools", "tool_choice",
        "parallel_tool_calls", "response_format", "reasoning_effort", "thinking", "logprobs", "modalities",
        "extra_body", *PLAIN, *GOOGLE,
    }
)  # fmt: skip
MODALITIES = {"text": "TEXT", "image": "IMAGE"}
BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
"""What Google's own endpoint makes of reasoning_effort for models that take a budget."""
LEVELS = ("minimal", "low", "medium", "high", "xhigh")
"""What models from Gemini 3 on take instead."""
OWN_TOOLS = frozenset(
    {
        "googleSearch", "googleSearchRetrieval", "googleMaps", "urlContext", "codeExecution", "computerUse",
        "fileSearch", "enterpriseWebSearch", "retrieval",
    }
)  # fmt: skip
"""Tools that Gemini runs itself; they are taken as Gemini writes them."""
UNSIGNED = "skip_thought_signature_validator"
"""What a call carries that no Gemini model made: without it, models from 3 on refuse the turn.
See https://ai.google.dev/gemini-api/docs/thought-signatures."""
_VERSION = re.compile(r"(?:^|/)gemini-(\d+)")


def translate_request(body: Mapping[str, Any], model: str, *, drop: bool = False) -> dict[str, Any]:
    """Return the generateContent request for a chat request; the model and the manner are in Gemini's path.

    Raises Invalid for what cannot be said there; with `drop`, unsupported members are left out instead.
    """
    if not drop:
        check_members(body, KNOWN, WHOM)
    levels = takes_levels(model)
    system, contents = _messages(body, signed=levels)
    out: dict[str, Any] = {"contents": contents}
    if system:
        out["systemInstruction"] = {"parts": system}
    for part in (_config, _format, _modalities, _tools, _parallel, _own):
        attempt(part, body, out, drop=drop)
    attempt(_thoughts_by_level if levels else _thoughts_by_budget, body, out, drop=drop)
    return out


def takes_levels(model: str) -> bool:
    """Return whether the model takes levels of thinking, and wants its calls signed: those from Gemini 3 on."""
    found = _VERSION.search(model)
    return found is not None and int(found[1]) >= 3


# -- messages ----------------------------------------------------------------------------------------------


def _messages(body: Mapping[str, Any], *, signed: bool) -> tuple[list[Part], list[dict[str, Any]]]:
    system: list[Part] = []
    out: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for where, role, message in messages_of(body):
        if role == "system":
            system += parts_to_gemini(message.get("content"), where)
        elif role == "assistant":
            _append(out, "model", _assistant(message, where, names, signed=signed))
        elif role == "tool":
            _append(out, "user", [_tool_result(message, where, names)])
        else:
            _append(out, "user", parts_to_gemini(message.get("content"), where))
    if not out:
        raise bad("messages needs a user message beside the system prompt.", "messages")
    return system, out


def _append(out: list[dict[str, Any]], role: str, parts: list[Part]) -> None:
    # All results of one turn belong into one content, and roles should alternate.
    if not parts:
        return
    if out and out[-1]["role"] == role:
        out[-1]["parts"] += parts
    else:
        out.append({"role": role, "parts": parts})


def signature_of(holder: Any) -> str:
    """Return the thought signature that a message or tool call carries, or nothing."""
    extra = holder.get("extra_content") if isinstance(holder, dict) else None
    google = extra.get("google") if isinstance(extra, dict) else None
    found = google.get("thought_signature") if isinstance(google, dict) else None
    return found if isinstance(found, str) else ""


def _assistant(message: Mapping[str, Any], where: str, names: dict[str, str], *, signed: bool) -> list[Part]:
    # Thoughts themselves stay here: Gemini wants only their signatures back.
    parts = parts_to_gemini(message.get("content"), where)
    signature = signature_of(message)
    if signature:
        if not parts:
            parts.append({"text": ""})
        parts[-1]["thoughtSignature"] = signature
    calls = calls_of(message, where)
    for number, (call, raw) in enumerate(zip(calls, message.get("tool_calls") or (), strict=True)):
        names[call.id] = call.name
        part = _function_call(call)
        found = signature_of(raw)
        if not found and number == 0 and signed and not signature:
            found = UNSIGNED
        if found:
            part["thoughtSignature"] = found
        parts.append(part)
    return parts


def _function_call(call: Call) -> Part:
    made: dict[str, Any] = {"name": call.name, "args": call.arguments}
    if call.id:
        made["id"] = call.id
    return {"functionCall": made}


def _tool_result(message: Mapping[str, Any], where: str, names: Mapping[str, str]) -> Part:
    identity = tool_call_id(message, where)
    name = names.get(identity) or message.get("name")
    if not isinstance(name, str):
        raise bad(f"{where} answers a call that no message before it has made.", f"{where}.tool_call_id")
    parts = parts_to_gemini(message.get("content"), where)
    texts = [part["text"] for part in parts if "text" in part]
    media = [part for part in parts if "text" not in part]
    made: dict[str, Any] = {"name": name, "response": _result("".join(texts))}
    if message.get("is_error"):
        made["response"] = {"error": "".join(texts)}
    if identity:
        made["id"] = identity
    if media:
        made["parts"] = media
    return {"functionResponse": made}


def _result(text: str) -> dict[str, Any]:
    """Return a tool's result as the object that Gemini wants: a JSON object as it is, anything else as its output."""
    if text.lstrip().startswith("{"):
        try:
            found = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
    return {"output": text}


# -- how to generate ---------------------------------------------------------------------------------------


def _config(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    config = {name: body[ours] for ours, name in PLAIN.items() if body.get(ours) is not None}
    if (limit := limit_of(body)) is not None:
        config["maxOutputTokens"] = limit
    if stops := stops_of(body):
        config["stopSequences"] = stops
    if body.get("logprobs"):
        config["responseLogprobs"] = True
    else:
        config.pop("logprobs", None)
    if config:
        out["generationConfig"] = config


def _set(out: dict[str, Any], **members: Any) -> None:
    out.setdefault("generationConfig", {}).update(members)


def _format(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    given = body.get("response_format")
    if left_out("response_format", given):
        return
    inner = schema_format(body)
    if inner is not None:
        _set(out, responseMimeType="application/json", responseJsonSchema=inner["schema"])
    elif isinstance(given, dict) and given.get("type") == "json_object":
        _set(out, responseMimeType="application/json")
    else:
        raise refused(
            "response_format", WHOM, "it is neither text, json_object nor json_schema with a schema"
        )


def _modalities(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    given = body.get("modalities")
    if left_out("modalities", given):
        return
    if not isinstance(given, list) or not all(isinstance(each, str) and each in MODALITIES for each in given):
        raise refused(
            "modalities", WHOM, f"chat completions carry only {' and '.join(MODALITIES)} from there"
        )
    _set(out, responseModalities=[MODALITIES[each] for each in given])


def _thinking(body: Mapping[str, Any], out: dict[str, Any]) -> bool:
    """Take `thinking` (Anthropic's shape) or Google's own thinking_config; returns whether one was there."""
    own = member(_google(body), "thinkingConfig")
    if isinstance(own, dict):
        _set(
            out,
            thinkingConfig={name: member(own, name) for name in THINKING if member(own, name) is not None},
        )
        return True
    given = body.get("thinking")
    if given is None:
        return False
    kind = given.get("type") if isinstance(given, dict) else None
    if kind == "disabled":
        _set(out, thinkingConfig={"thinkingBudget": 0})
    elif kind == "enabled" and isinstance(given.get("budget_tokens"), int):
        _set(out, thinkingConfig={"thinkingBudget": given["budget_tokens"], "includeThoughts": True})
    elif kind == "adaptive":
        _set(out, thinkingConfig={"thinkingBudget": -1, "includeThoughts": True})
    else:
        raise bad("thinking must be enabled with budget_tokens, adaptive, or disabled.", "thinking")
    return True


THINKING = ("thinkingBudget", "thinkingLevel", "includeThoughts")


def _thoughts_by_budget(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    effort = body.get("reasoning_effort")
    if _thinking(body, out) or effort is None:
        return
    if not isinstance(effort, str) or effort not in BUDGETS:
        raise refused("reasoning_effort", WHOM, f"{effort!r} is none of {', '.join(BUDGETS)}")
    budget = BUDGETS[effort]
    _set(out, thinkingConfig={"thinkingBudget": budget} | ({"includeThoughts": True} if budget else {}))


def _thoughts_by_level(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    effort = body.get("reasoning_effort")
    if _thinking(body, out) or effort is None:
        return
    if not isinstance(effort, str) or effort not in LEVELS:
        raise refused("reasoning_effort", WHOM, f"{effort!r} is none of {', '.join(LEVELS)}")
    _set(out, thinkingConfig={"thinkingLevel": effort, "includeThoughts": True})


# -- what the model may do ---------------------------------------------------------------------------------


def _tools(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    given = body.get("tools") or []
    own: list[dict[str, Any]] = []
    ours: Any = given
    if isinstance(given, list):
        found = [(tool, _own_tool(tool)) for tool in given]
        own = [theirs for _, theirs in found if theirs is not None]
        ours = [tool for tool, theirs in found if theirs is None]
    declared: list[dict[str, Any]] = []
    strict = False
    for _, function in functions_of({"tools": ours}, WHOM):
        declared.append(_declared(function))
        strict = strict or function.get("strict") is True
    tools = ([{"functionDeclarations": declared}] if declared else []) + own
    if tools:
        out["tools"] = tools
    _choice(choice_of(body), out, strict=strict, declared=bool(declared))


def _declared(function: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": function["name"]}
    if function.get("description"):
        made["description"] = function["description"]
    if function.get("parameters"):
        made["parametersJsonSchema"] = function["parameters"]
    return made


def _own_tool(tool: Any) -> dict[str, Any] | None:
    """Return one of Gemini's own tools in Gemini's spelling, None for any other."""
    if not isinstance(tool, dict) or len(tool) != 1:
        return None
    return next(
        ({name: member(tool, name)} for name in OWN_TOOLS if isinstance(member(tool, name), dict)), None
    )


def _choice(choice: tuple[str, str], out: dict[str, Any], *, strict: bool, declared: bool) -> None:
    kind, name = choice
    if not declared:
        if kind in ("required", "named"):
            raise bad("tool_choice names what tools do not hold.", "tool_choice")
        return
    modes = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY", "": ""}
    # Only in this mode are calls held to the schema when the model may choose to talk.
    mode = "VALIDATED" if strict and kind in ("", "auto") else modes[kind]
    if mode:
        config: dict[str, Any] = {"mode": mode}
        if kind == "named":
            config["allowedFunctionNames"] = [name]
        out["toolConfig"] = {"functionCallingConfig": config}


def _parallel(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    if "tools" in out:
        check_single_calls(body, WHOM)


def _google(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the caller's members of Gemini itself."""
    extra = body.get("extra_body")
    google = extra.get("google") if isinstance(extra, dict) else None
    return (google if isinstance(google, dict) else {}) | {
        name: body[name] for name in GOOGLE if body.get(name) is not None
    }


def _own(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    found = _google(body)
    for ours, name in GOOGLE.items():
        if member(found, name) is not None:
            out[name] = member(found, name)
        elif found.get(ours) is not None:
            out[name] = found[ours]
    known = {*GOOGLE, *GOOGLE.values(), "thinking_config", "thinkingConfig"}
    for name in found:
        if name not in known:
            raise refused(f"extra_body.google.{name}", WHOM, "it has no such thing")
