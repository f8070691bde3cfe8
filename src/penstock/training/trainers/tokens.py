"""The tokenizer of a run, loaded without the libraries that train."""

from typing import Any

from transformers import AutoTokenizer

from penstock.core.errors import Invalid

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""The template that most open models follow."""


def tokenizer(spec: dict[str, Any], *, chat: bool = True) -> Any:
    """Return the start's tokenizer with a padding token and the recipe's chat template, if it sets one.

    Raises Invalid when `chat` is needed and there is no template.
    """
    found = AutoTokenizer.from_pretrained(spec["model_folder"])
    wanted = spec.get("chat_template", "")
    if wanted:
        found.chat_template = CHATML if wanted == "chatml" else wanted
    if chat and not found.chat_template:
        raise Invalid(
            "The base model's tokenizer has no chat template.",
            hint="Set chat_template in the recipe, or add it to the base model's tokenizer_config.json.",
        )
    if found.pad_token is None:
        found.pad_token = found.eos_token
    return found
