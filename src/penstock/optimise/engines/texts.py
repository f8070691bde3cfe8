"""Prompts and answers of exported folders as tokens, by the tokenizer and chat template that lie beside the weights.

Without Transformers, whose import would dwarf what is measured. Templates are rendered as Transformers does
(utils/chat_template_utils.py).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from penstock.core import clock
from penstock.core.errors import Invalid

_SPECIALS = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")


class _Generation(Extension):
    """`{% generation %}` marks what is trained on; in a prompt it means nothing."""

    tags = {"generation"}  # noqa: RUF012 - the library's own way of declaring tags

    def parse(self, parser: Any) -> Any:
        """Return what stands inside the block."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _refuse(message: str) -> None:
    raise Invalid(f"The chat template refuses this conversation: {message}")


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


class Texts:
    """A folder's tokenizer and chat template."""

    def __init__(self, folder: Path) -> None:
        """Read `tokenizer.json` and what belongs to it; raises Invalid when it is not there."""
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise Invalid(f"{folder} has no tokenizer.json.", hint="Save the model with a fast tokenizer.")
        self._tokenizer = Tokenizer.from_file(str(file))
        self._config = _read(folder / "tokenizer_config.json")
        template = folder / "chat_template.jinja"
        self._template = template.read_text() if template.is_file() else self._config.get("chat_template")
        self.stops = self._stops(_read(folder / "generation_config.json"))
        """Tokens that end an answer."""

    def _stops(self, generation: Mapping[str, Any]) -> frozenset[int]:
        declared = generation.get("eos_token_id")
        ids = declared if isinstance(declared, list) else [declared]
        named = self._special("eos_token")
        own = self._tokenizer.token_to_id(named) if named else None
        return frozenset(int(token) for token in (*ids, own) if token is not None)

    def _special(self, name: str) -> str:
        value = self._config.get(name) or ""
        return str(value.get("content", "")) if isinstance(value, dict) else str(value)

    def render(self, messages: Sequence[Mapping[str, Any]], style: str = "chat") -> str:
        """Return the prompt of a conversation; `raw` joins the contents. Raises Invalid without a chat template."""
        if style == "raw":
            return "\n".join(str(message["content"]) for message in messages)
        if not isinstance(self._template, str) or not self._template:
            raise Invalid("The model's tokenizer has no chat template.", hint="Use prompt_style: raw.")
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, "jinja2.ext.loopcontrols"],
            undefined=jinja2.Undefined,
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda form: clock.now().strftime(form)
        specials = {name: self._special(name) for name in _SPECIALS if self._special(name)}
        return str(
            environment.from_string(self._template).render(
                messages=list(messages), add_generation_prompt=True, **specials
            )
        )

    def encode(self, text: str) -> list[int]:
        """Return the prompt's tokens; the template has put the special ones."""
        found: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return found

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the answer's text without special tokens."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def ids(self, tokens: Sequence[str]) -> list[int]:
        """Return the numbers of tokens that the vocabulary knows."""
        found = (self._tokenizer.token_to_id(token) for token in tokens)
        return [number for number in found if number is not None]

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the tokens' own texts, which CTranslate2 takes."""
        return [self._tokenizer.id_to_token(each) or "" for each in ids]


def _to_json(value: Any, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, **options)
