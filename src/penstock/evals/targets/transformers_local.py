"""A model folder in the Hugging Face layout as a target: batched greedy generation in a child process.

Run in a child by evals (`penstock.targets`, name `transformers`); options: `folder`, `adapter`, `max_tokens`,
`batch_size`, `threads`, `prompt_style` (`chat` uses the tokenizer's chat template, `raw` joins the contents).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from penstock.core import clock
from penstock.core.errors import Invalid

_OPTIONS = {"samples", "folder", "adapter", "max_tokens", "batch_size", "threads", "prompt_style", "name"}


def read_samples(path: str) -> list[dict[str, Any]]:
    """Return the `{id, messages}` lines that the parent wrote."""
    return [msgspec.json.decode(line) for line in Path(path).read_bytes().splitlines() if line]


def check_options(spec: Mapping[str, Any], known: set[str]) -> None:
    """Raise Invalid when `spec` holds an option that is not known, or no folder."""
    unknown = sorted(set(spec) - known)
    if unknown:
        raise Invalid(
            f"The target has no option {unknown[0]!r}.", hint=f"It knows {', '.join(sorted(known))}."
        )
    if not spec.get("folder"):
        raise Invalid("The target needs a model.", hint="Give model: NAME@VERSION, or folder: PATH.")


def render(tokenizer: Any, messages: Sequence[Mapping[str, Any]], style: str) -> str:
    """Return the prompt of one sample as text; raises Invalid when the tokenizer has no chat template."""
    if style == "raw":
        return "\n".join(str(message["content"]) for message in messages)
    if not tokenizer.chat_template:
        raise Invalid("The model's tokenizer has no chat template.", hint="Use prompt_style: raw.")
    return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))


def _load(spec: Mapping[str, Any]) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(int(spec.get("threads", 1)))
    torch.manual_seed(0)
    source = spec.get("adapter") or spec["folder"]
    tokenizer_folder = source if (Path(source) / "tokenizer_config.json").exists() else spec["folder"]
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder, local_files_only=True)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(spec["folder"], local_files_only=True, dtype=torch.float32)
    if spec.get("adapter"):
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, spec["adapter"]).merge_and_unload()
    return tokenizer, model.eval()


def _batches(prompts: Sequence[tuple[str, str]], size: int) -> Iterator[Sequence[tuple[str, str]]]:
    # Prompts of like length share a batch: less padding, and the same batches on every run.
    ordered = sorted(prompts, key=lambda item: (len(item[1]), item[0]))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def _generate(
    tokenizer: Any, model: Any, batch: Sequence[tuple[str, str]], max_tokens: int
) -> list[dict[str, Any]]:
    import torch

    encoded = tokenizer(
        [text for _, text in batch], return_tensors="pt", padding=True, add_special_tokens=False
    )
    began = clock.monotonic()
    with torch.inference_mode():
        tokens = model.generate(
            input_ids=encoded["input_ids"],
            attention_mask=encoded["attention_mask"],
            max_new_tokens=max_tokens,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )
    seconds = clock.monotonic() - began
    width = encoded["input_ids"].shape[1]
    stops = _stop_ids(model, tokenizer)
    outputs = []
    for row, (sample_id, _) in enumerate(batch):
        made = tokens[row, width:].tolist()
        ended = next((index for index, token in enumerate(made) if token in stops), None)
        kept = made if ended is None else made[:ended]
        outputs.append(
            {
                "sample_id": sample_id,
                "text": tokenizer.decode(kept, skip_special_tokens=True),
                "latency_s": seconds,
                "input_tokens": int(encoded["attention_mask"][row].sum()),
                "output_tokens": len(kept),
                "finish_reason": "length" if ended is None else "stop",
            }
        )
    return outputs


def _stop_ids(model: Any, tokenizer: Any) -> set[int]:
    declared = model.generation_config.eos_token_id
    ids = declared if isinstance(declared, list) else [declared]
    return {int(token) for token in (*ids, tokenizer.eos_token_id) if token is not None}


def run(spec: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Answer every sample of `spec["samples"]`, reporting each batch as it is finished."""
    check_options(spec, _OPTIONS)
    samples = read_samples(spec["samples"])
    tokenizer, model = _load(spec)
    style = spec.get("prompt_style", "chat")
    prompts = [(sample["id"], render(tokenizer, sample["messages"], style)) for sample in samples]
    for batch in _batches(prompts, int(spec.get("batch_size", 32))):
        report({"outputs": _generate(tokenizer, model, batch, int(spec.get("max_tokens", 256)))})
    return {"answered": len(prompts)}
