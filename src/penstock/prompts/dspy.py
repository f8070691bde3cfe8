"""Programs that DSPy saved as JSON (`program.save("program.json")`), as bodies of prompts.

The format is that of DSPy 2.5 and later: predictor → {"demos", "signature": {"instructions", "fields": [{"prefix",
"description"}]}, "lm"}; of 2.4, "signature_instructions" and, when saved verbosely, "fields" are understood. It does
not say which fields are outputs, so that is read from the instructions, from a field of reasoning, or is the last.
Several outputs are told apart by the marks of DSPy's own chat adapter, `[[ ## name ## ]]`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.prompts.checking import VARIABLE
from penstock.prompts.model import Body, Kind, Variable, literal

_PLACE = re.compile(r"\$\{(\w+)\}")
_PRODUCE = re.compile(r"produce the fields? (.+)", re.IGNORECASE)
_QUOTED = re.compile(r"`(\w+)`")
_REASONING = ("reasoning", "rationale")
_SETTINGS = ("temperature", "max_tokens", "top_p")
_MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Signed:
    """A field of a predictor."""

    name: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """One predictor of a program, as a prompt."""

    name: str
    """Its path in the program, as a prompt's name can have it; empty for a program that is one predictor."""
    body: Body
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read(program: Any, *, outputs: Sequence[str] = ()) -> list[Predictor]:
    """Return the predictors of a saved program; `outputs` names the output fields where they are not what is guessed.

    Raises Invalid for what is no saved program, and for a predictor whose fields are not known.
    """
    if not isinstance(program, Mapping):
        raise Invalid(
            "A saved DSPy program is a JSON object.", hint='Save it with program.save("program.json").'
        )
    found = list(_predictors(program, "", 0))
    if not found:
        raise Invalid(
            "There is no predictor in the file.",
            hint='Save the state: program.save("program.json"), without save_program=True.',
        )
    return [_predictor(path, state, outputs) for path, state in found]


def _predictors(value: Mapping[str, Any], path: str, depth: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if depth > _MAX_DEPTH:
        raise Invalid("The file is nested too deeply.")
    if "demos" in value and ("signature" in value or "signature_instructions" in value):
        yield path, value
        return
    for name, each in value.items():
        if isinstance(each, Mapping) and name != "metadata":
            yield from _predictors(each, f"{path}.{name}" if path else str(name), depth + 1)


def _signature(state: Mapping[str, Any]) -> tuple[str, list[Mapping[str, Any]]]:
    """Return the instructions and the fields as they are saved; those of a chain of thought where there are two."""
    signature = state.get("extended_signature") or state.get("signature")
    if isinstance(signature, Mapping):
        fields = signature.get("fields")
        said = signature.get("instructions")
    else:
        fields = state.get("fields")
        said = state.get("extended_signature_instructions") or state.get("signature_instructions")
    good = [one for one in fields if isinstance(one, Mapping)] if isinstance(fields, list) else []
    return str(said or "").strip(), good


def _predictor(path: str, state: Mapping[str, Any], outputs: Sequence[str]) -> Predictor:
    what = f"The predictor {path!r}" if path else "The program"
    instructions, saved = _signature(state)
    demos = [one for one in state.get("demos") or () if isinstance(one, Mapping)]
    keys = list(dict.fromkeys(str(key) for demo in demos for key in demo if key != "augmented"))
    fields = [_field(one, keys) for one in saved] or [Signed(key, "") for key in keys]
    names = [one.name for one in fields]
    if not names:
        raise Invalid(f"{what} does not say which fields it has.", hint="Save it with DSPy 2.5 or later.")
    for name in names:
        if not VARIABLE.fullmatch(name):
            raise Invalid(f"{what} has a field {name!r}, which cannot name a variable.")
    typed = [str(one.get("field_type") or "") for one in saved]
    out = _outputs(names, typed, instructions, [name for name in outputs if name in names])
    inputs = [name for name in names if name not in out]
    if not inputs:
        raise Invalid(f"{what} has no input fields.", hint="Say which fields are outputs.")
    return Predictor(
        name=re.sub(r"[^a-z0-9._-]+", "-", path.lower()).strip(".-_"),
        body=_body(instructions, fields, (inputs, out), demos, state.get("lm")),
        inputs=tuple(inputs),
        outputs=tuple(out),
    )


def _field(saved: Mapping[str, Any], keys: Sequence[str]) -> Signed:
    """Return a field by its name: saved, in its description, one of the examples', or made of its prefix."""
    description = str(saved.get("description") or "")
    place = _PLACE.fullmatch(description)
    described = "" if place else description
    if saved.get("name"):
        return Signed(str(saved["name"]), described)
    if place:
        return Signed(place.group(1), "")
    prefix = str(saved.get("prefix") or "").split(":")[0].strip()
    flat = _flat(prefix)
    known = next((key for key in keys if _flat(key) == flat), None)
    return Signed(known or re.sub(r"\W+", "_", prefix.lower()).strip("_"), described)


def _flat(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _outputs(
    names: Sequence[str], typed: Sequence[str], instructions: str, given: Sequence[str]
) -> list[str]:
    if given:
        return [name for name in names if name in given]
    if "output" in typed:
        return [name for name, kind in zip(names, typed, strict=True) if kind == "output"]
    said = _PRODUCE.search(instructions)
    told = _QUOTED.findall(said.group(1)) if said else []
    first = min((names.index(name) for name in (*told, *_REASONING) if name in names), default=len(names) - 1)
    return list(names[first:])


def _body(
    instructions: str,
    fields: Sequence[Signed],
    parts: tuple[Sequence[str], Sequence[str]],
    demos: Sequence[Mapping[str, Any]],
    lm: Any,
) -> Body:
    inputs, outputs = parts
    system = "\n\n".join(part for part in (literal(instructions), _explained(fields, outputs)) if part)
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for demo in demos:
        asked, answered = _told(demo, inputs), _told(demo, outputs)
        if asked and answered:
            messages.append({"role": "user", "content": literal(_written(asked, len(inputs)))})
            messages.append({"role": "assistant", "content": literal(_written(answered, len(outputs)))})
    places = {name: "{{ " + name + " }}" for name in inputs}
    messages.append({"role": "user", "content": _written(places, len(inputs))})
    variables = tuple(
        Variable(name=one.name, description=one.description) for one in fields if one.name in inputs
    )
    saved = lm if isinstance(lm, Mapping) else {}
    settings = {name: saved[name] for name in _SETTINGS if saved.get(name) is not None}
    return Body(kind=Kind.CHAT, messages=tuple(messages), variables=variables, settings=settings)


def _explained(fields: Sequence[Signed], outputs: Sequence[str]) -> str:
    """Return what the fields are, where they are described or there are several outputs to write."""
    lines = [f"- `{one.name}`: {one.description}" for one in fields if one.description]
    told = ["The fields:\n" + "\n".join(lines)] if lines else []
    if len(outputs) > 1:
        form = "\n\n".join(f"[[ ## {name} ## ]]\n…" for name in outputs)
        told.append(f"Answer in this form:\n\n{form}")
    return str(literal("\n\n".join(told)))


def _told(demo: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name in names
        if (value := demo.get(name)) is not None
    }


def _written(values: Mapping[str, str], of: int) -> str:
    if of == 1:
        return next(iter(values.values()))
    return "\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in values.items())
