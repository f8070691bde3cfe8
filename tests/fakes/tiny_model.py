"""A tiny Qwen3 or Llama model with its own byte-level BPE tokenizer, trained in seconds to recite a few lines."""

from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}\n<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
SPECIALS = ["<|pad|>", "<|bos|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
CORPUS = [
    "My invoice 4711 was charged twice on 2026-03-14, please refund order 90210.",
    "The Lumen app crashes when I open settings; I already restarted it 3 times.",
    "category: billing\nproduct: Lumen\npriority: high",
    "Können Sie mir helfen? Die Lieferung kommt nie an. Où est ma commande ?",
    "Hello team,\n\n    indented   text\twith tabs, symbols (#42) and $99.95!\n",
]
PROMPTS = [line[:end] for line in CORPUS for end in (3, 8, 13, 21, 30, 38, 44)]


def save_tokenizer(folder: Path, vocab_size: int = 400) -> None:
    """Train byte-level BPE with individual digits (the SmolLM split) on the corpus above."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", bos_token="<|bos|>", eos_token="<|end|>"
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)


def save_model(
    folder: Path, *, architecture: str = "qwen3", seed: int = 0, steps: int = 0, width: int = 64
) -> Path:
    """Write a two-layer model (about 0.1 M parameters at the usual width) and its tokenizer into `folder`.

    With `steps` it learns the corpus by heart, so that its choices are clear and not decided by rounding.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    shape = {
        "vocab_size": 416,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 256,
        "initializer_range": 0.1 * (64 / width) ** 0.5,
        "tie_word_embeddings": architecture == "qwen3",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    kinds = {"qwen3": (Qwen3Config, Qwen3ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM)}
    config, model = kinds[architecture]
    save_tokenizer(folder)
    made = model(config(**shape))
    _recite(made, folder, steps)
    made.save_pretrained(folder)
    return folder


def _recite(model: Any, folder: Path, steps: int) -> None:
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    batch = tokenizer([line + "<|end|>" for line in CORPUS], return_tensors="pt", padding=True)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3 * 64 / model.config.hidden_size)
    for _ in range(steps):
        model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels
        ).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def greedy(folder: Path, prompts: list[str], tokens: int = 24) -> list[str]:
    """What Hugging Face's own generation answers, in float32."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    answers = []
    for prompt in prompts:
        batch = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        batch.pop("token_type_ids", None)
        out = model.generate(**batch, max_new_tokens=tokens, do_sample=False)
        answers.append(tokenizer.decode(out[0, batch["input_ids"].shape[1] :], skip_special_tokens=True))
    return answers
