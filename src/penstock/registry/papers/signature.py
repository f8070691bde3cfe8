"""A version's signature: what goes in, what comes out, with which parameters; read from its files or from MLflow.

`{"task": …, "inputs": [{name, type, …}], "outputs": […], "params": […]}`; types are those of JSON Schema.
"""

from pathlib import Path
from typing import Any

import msgspec
import yaml

from penstock.core.errors import Invalid
from penstock.registry.model import Kind

_PARTS = ("inputs", "outputs", "params")
_CONTEXT = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
_SAMPLING = ("temperature", "top_p", "top_k", "max_new_tokens", "repetition_penalty")


def check(signature: dict[str, Any]) -> dict[str, Any]:
    """Return the signature if it has the form above, or raise Invalid."""
    unknown = sorted(signature.keys() - {"task", "context", *_PARTS})
    if unknown:
        raise Invalid(
            f"A signature has no {unknown[0]!r}.", hint="It has task, context, inputs, outputs, params."
        )
    for part in _PARTS:
        fields = signature.get(part, [])
        if not isinstance(fields, list) or not all(
            isinstance(one, dict) and isinstance(one.get("type"), str) for one in fields
        ):
            raise Invalid(f"The {part} of a signature are a list of {{name, type}}.")
    try:
        text = msgspec.json.encode(signature).decode()
    except UnicodeEncodeError as error:
        raise Invalid("The signature holds lone surrogates.", hint="Write plain text.") from error
    if "\\u0000" in text:
        raise Invalid("The signature holds NUL characters.", hint="Write plain text.")
    return signature


def read(folder: Path, kind: Kind) -> dict[str, Any] | None:
    """Return the signature that the folder's files tell of, or None when they tell of none."""
    if (folder / "MLmodel").is_file():
        return of_mlflow((folder / "MLmodel").read_text("utf-8"))
    if kind not in (Kind.BASE, Kind.MERGED) or not (folder / "config.json").is_file():
        return None
    config = _object(folder / "config.json")
    names = config.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else ""
    if name.endswith("ForSequenceClassification"):
        return _classifier(config)
    if name.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")):
        return _generator(folder, config)
    return None


def _object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.MsgspecError:
        # Not an object: the scan has said that it is JSON, and a signature is only an offer.
        return {}


def _context(config: dict[str, Any]) -> int | None:
    found = (config.get(key) for key in _CONTEXT)
    return next((value for value in found if isinstance(value, int)), None)


def _generator(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    settings = _object(folder / "tokenizer_config.json")
    chats = (folder / "chat_template.jinja").is_file() or "chat_template" in settings
    given = (
        {"name": "messages", "type": "array", "items": {"role": "string", "content": "string"}}
        if chats
        else {"name": "prompt", "type": "string"}
    )
    defaults = _object(folder / "generation_config.json")
    found: dict[str, Any] = {
        "task": "chat" if chats else "text-generation",
        "inputs": [given],
        "outputs": [{"name": "text", "type": "string"}],
        "params": [
            {"name": key, "type": "number", "default": defaults[key]}
            for key in _SAMPLING
            if isinstance(defaults.get(key), int | float)
        ],
    }
    context = _context(config)
    return found if context is None else {**found, "context": context}


def _classifier(config: dict[str, Any]) -> dict[str, Any]:
    labels = config.get("id2label")
    names = [str(name) for name in labels.values()] if isinstance(labels, dict) else []
    return {
        "task": "text-classification",
        "inputs": [{"name": "text", "type": "string"}],
        "outputs": [
            {"name": "label", "type": "string", "enum": names},
            {"name": "score", "type": "number"},
        ],
        "params": [],
    }


def of_mlflow(text: str) -> dict[str, Any] | None:
    """Return the signature in an `MLmodel` file (YAML; its parts are JSON texts); raises Invalid for a damaged file."""
    try:
        said = yaml.safe_load(text)
        signature = said.get("signature") if isinstance(said, dict) else None
        if not isinstance(signature, dict):
            return None
        found = {part: msgspec.json.decode(signature[part]) for part in _PARTS if signature.get(part)}
    except (yaml.YAMLError, msgspec.MsgspecError, TypeError) as error:
        raise Invalid(f"The MLmodel file is damaged: {error}.", hint="Log the model again.") from error
    return check({"task": "mlflow", **{part: [_column(one) for one in rows] for part, rows in found.items()}})


def _column(said: Any) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise Invalid("The MLmodel file's signature is damaged.", hint="Log the model again.")
    return {**said, "name": str(said.get("name", "")), "type": str(said.get("type", "string"))}
