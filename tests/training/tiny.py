"""A random model of a few thousand parameters with its tokenizer, made on the spot in a process of its own.

Run as: python -m tests.training.tiny FOLDER
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

WORDS = ("tea", "milk", "juice")
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def base(folder: Path) -> Path:
    """Make the model in `folder`."""
    in_child("tests.training.tiny", folder)
    return folder


def in_child(module: str, *arguments: Path) -> None:
    """Run a module that makes a model in a process of its own, on one thread."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    command = [sys.executable, "-m", module, *map(str, arguments)]
    subprocess.run(command, check=True, timeout=900, env=environment, capture_output=True)


def _make(folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = special + sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE({letter: place for place, letter in enumerate(letters)}, []))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens(special)
    save(folder, raw)


def save(folder: Path, raw: Any, *, heads: int = 2, **config: Any) -> None:
    """Write a random model of two layers, 16 wide per head, with the tokenizer `raw` and a chat template."""
    import torch
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
    torch.manual_seed(0)
    made = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=16 * heads,
        intermediate_size=32 * heads,
        num_hidden_layers=2,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=16,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        **config,
    )
    Qwen3ForCausalLM(made).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    _make(Path(sys.argv[1]))
