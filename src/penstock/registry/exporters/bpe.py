"""The byte-level BPE vocabulary of a Hugging Face `tokenizer.json`, in the terms GGUF uses.

llama.cpp knows pre-tokenizers by name, not by regular expression (`tokenizer.ggml.pre`, see
`llm_tokenizer_bpe` in llama.cpp's src/llama-vocab.cpp). A wrong name loads without complaint and splits text
differently, so a tokenizer that is not recognised is refused instead of guessed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import Invalid

_LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_QWEN2 = rf"{_LETTERS}|\p{{N}}|{_REST}"
_LLAMA3 = rf"{_LETTERS}|\p{{N}}{{1,3}}|{_REST}"
_BY_PATTERN = {_QWEN2: "qwen2", _LLAMA3: "llama-bpe"}

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""Token types of `llama_token_type` in llama.cpp's include/llama.h."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Tokens by id, their types, the merges in order, the pre-tokenizer's llama.cpp name and the special ids."""

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[str, ...]
    pre: str
    bos: int | None
    eos: int | None
    pad: int | None
    add_bos: bool
    chat_template: str | None


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])


def pre_tokenizer_name(spec: dict[str, Any] | None) -> str:
    """llama.cpp's name for a `pre_tokenizer` object; Invalid when llama.cpp has none that splits the same way."""
    parts = (spec or {}).get("pretokenizers", [spec] if spec else [])
    kinds = [part["type"] for part in parts]
    if parts and kinds[-1] == "ByteLevel" and not parts[-1].get("add_prefix_space", False):
        regex = parts[-1].get("use_regex", True)
        if kinds == ["ByteLevel"] and regex:
            return "gpt-2"
        if kinds == ["Digits", "ByteLevel"] and parts[0].get("individual_digits") and regex:
            return "smollm"
        if kinds == ["Split", "ByteLevel"] and not regex:
            name = _BY_PATTERN.get(parts[0].get("pattern", {}).get("Regex", ""))
            if name:
                return name
    raise Invalid(
        f"llama.cpp has no pre-tokenizer that splits text like this tokenizer ({' + '.join(kinds) or 'none'}).",
        hint="Use byte-level BPE with individual digits (SmolLM style), or a GPT-2, Qwen 2/3 or Llama 3 tokenizer.",
    )


def _content(value: Any) -> str | None:
    return value.get("content") if isinstance(value, dict) else value


def _special_id(
    ids: dict[str, int], settings: dict[str, Any], generation: dict[str, Any], key: str
) -> int | None:
    declared = generation.get(f"{key}_token_id")
    if isinstance(declared, list):
        declared = declared[0] if declared else None
    text = _content(settings.get(f"{key}_token"))
    return ids.get(text, declared) if text else declared


def _adds_bos(tokenizer: dict[str, Any], settings: dict[str, Any], bos: str | None) -> bool:
    if "add_bos_token" in settings:
        return bool(settings["add_bos_token"])
    post = tokenizer.get("post_processor") or {}
    steps = [step for part in post.get("processors", [post]) for step in part.get("single", [])]
    return bool(bos and steps and (steps[0].get("SpecialToken") or {}).get("id") == bos)


def read_vocabulary(folder: Path, size: int) -> Vocabulary:
    """The tokenizer of a Hugging Face folder, padded with unused tokens to the model's `size` rows."""
    tokenizer = _json(folder / "tokenizer.json")
    if not tokenizer:
        raise Invalid(f"There is no tokenizer.json in {folder}.", hint="Save the tokenizer beside the model.")
    model = tokenizer.get("model") or {}
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise Invalid(f"Only byte-level BPE tokenizers can be exported to GGUF, not {model.get('type')}.")
    settings = _json(folder / "tokenizer_config.json")
    generation = _json(folder / "config.json") | _json(folder / "generation_config.json")
    ids: dict[str, int] = dict(model["vocab"])
    types = dict.fromkeys(ids.values(), NORMAL)
    for added in tokenizer.get("added_tokens", []):
        ids[added["content"]] = added["id"]
        types[added["id"]] = CONTROL if added.get("special") else USER_DEFINED
    by_id = {number: token for token, number in ids.items()}
    if by_id and max(by_id) >= size:
        raise Invalid(f"The tokenizer has ids up to {max(by_id)} but the model only {size} embedding rows.")
    template_file = folder / "chat_template.jinja"
    template = template_file.read_text("utf-8") if template_file.is_file() else settings.get("chat_template")
    return Vocabulary(
        tokens=tuple(by_id.get(i, f"[PAD{i}]") for i in range(size)),
        types=tuple(types.get(i, UNUSED) for i in range(size)),
        merges=tuple(m if isinstance(m, str) else " ".join(m) for m in model.get("merges", [])),
        pre=pre_tokenizer_name(tokenizer.get("pre_tokenizer")),
        bos=_special_id(ids, settings, generation, "bos"),
        eos=_special_id(ids, settings, generation, "eos"),
        pad=_special_id(ids, settings, generation, "pad"),
        add_bos=_adds_bos(tokenizer, settings, _content(settings.get("bos_token"))),
        chat_template=template if isinstance(template, str) else None,
    )
