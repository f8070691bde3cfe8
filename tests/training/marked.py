"""Sentences of WinoBias with two bracketed mentions; whoever is marked first is to be named.

Run as: python -m tests.training.marked DATA FOLDER, which makes a random model with a tokenizer of those words.
"""

import re
import sys
from pathlib import Path
from typing import Any

from tests.training import tiny

KINDS = ("pro_stereotyped_type1", "anti_stereotyped_type1", "pro_stereotyped_type2", "anti_stereotyped_type2")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def rows(data: Path, part: str) -> list[dict[str, Any]]:
    """Return `{id, text, person}` of the file's part (dev or test), the kinds in turns."""
    files = [(data / "winobias" / f"{kind}.txt.{part}").read_text().splitlines() for kind in KINDS]
    found = []
    for place in range(max(map(len, files))):
        for kind, lines in zip(KINDS, files, strict=True):
            sentence = re.sub(r"^\d+ ", "", lines[place]) if place < len(lines) else ""
            marked = [part for part in re.findall(r"\[(.*?)\]", sentence) if " " in part]
            if len(marked) == 1:
                person = re.sub(r"^(the|an|a) ", "", marked[0].lower())
                found.append({"id": f"{kind}-{place}", "text": sentence, "person": person})
    return found


def base(data: Path, folder: Path) -> Path:
    """Make the random model in `folder`, in a process of its own."""
    tiny.in_child("tests.training.marked", data, folder)
    return folder


def _make(data: Path, folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.normalizer = normalizers.Lowercase()
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    raw.decoder = decoders.ByteLevel()
    learn = trainers.BpeTrainer(
        vocab_size=1200,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    known = rows(data, "dev")
    raw.train_from_iterator([row["text"] for row in known] + [row["person"] for row in known], learn)
    tiny.save(folder, raw, heads=4, initializer_range=0.06)


if __name__ == "__main__":
    _make(Path(sys.argv[1]), Path(sys.argv[2]))
