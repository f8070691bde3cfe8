"""What every exported folder needs besides weights: the tokenizer, the chat template, and what ends an answer."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.core.errors import Invalid

Report = Callable[[dict[str, Any]], None]

TEXT_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
)


def read_config(source: Path) -> dict[str, Any]:
    """Return `config.json` of a Hugging Face folder; raises Invalid when there is none or it names no architecture."""
    path = source / "config.json"
    if not path.is_file():
        raise Invalid(f"{source} is not a Hugging Face model folder: it has no config.json.")
    found: dict[str, Any] = json.loads(path.read_bytes())
    if not found.get("architectures"):
        raise Invalid(f"The config.json in {source} names no architecture.")
    return found


def copy_texts(source: Path, output: Path) -> None:
    """Copy the tokenizer's files, and make sure that `generation_config.json` says what ends an answer."""
    for name in TEXT_FILES:
        if (source / name).is_file():
            (output / name).unlink(missing_ok=True)
            shutil.copyfile(source / name, output / name)
    path = output / "generation_config.json"
    generation = json.loads(path.read_bytes()) if path.is_file() else {}
    ends = read_config(source).get("eos_token_id")
    if generation.get("eos_token_id") is None and ends is not None:
        path.write_text(json.dumps({**generation, "eos_token_id": ends}, indent=2))
