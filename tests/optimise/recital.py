"""A tiny model that knows a few conversations by heart, and those conversations as rows."""

import atexit
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tests.fakes import tiny_model

TALKS = [
    ("My invoice", "category: billing\npriority: high"),
    ("The Lumen app", "category: billing\npriority: low"),
    ("order 90210.", "product: Lumen\npriority: high"),
    ("Où est ma commande ?", "Die Lieferung kommt nie an."),
    ("refund", "product: Lumen\ncategory: billing"),
    ("symbols (#42)", "please refund order 4711."),
    ("3 times", "I already restarted it."),
    ("Hello team,", "Hello!"),
]
ROWS = [
    {"id": f"{number}-{copy}", "prompt": prompt + " " * copy, "completion": answer}
    for number, (prompt, answer) in enumerate(TALKS)
    for copy in range(3)
]
"""Each conversation three times, told apart by spaces: 24 rows."""


def conversation(prompt: str, answer: str) -> str:
    """Return what the chat template makes of it."""
    return f"<|user|>\n{prompt}\n<|end|>\n<|assistant|>\n{answer}<|end|>\n"


@cache
def folder() -> Path:
    """Return a Hugging Face folder whose model answers every row as it should; made once per process."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    made = Path(mkdtemp(prefix="penstock-recital-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    tiny_model.save_model(made)
    tokenizer = AutoTokenizer.from_pretrained(made)
    model = AutoModelForCausalLM.from_pretrained(made)
    texts = [conversation(row["prompt"], row["completion"]) for row in ROWS]
    batch = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
    mask = batch["attention_mask"]
    labels = batch["input_ids"].masked_fill(mask == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(80):
        loss = model(input_ids=batch["input_ids"], attention_mask=mask, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(made)
    return made
