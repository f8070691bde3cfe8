"""A BERT of a few thousand weights, written by numpy alone: the same with every version of torch, and without it."""

import json
from pathlib import Path

import numpy as np

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = ("the", "cat", "dog", "sat", "on", "a", "mat", "##s", "refund", "is", "due", "paris", ".")
WIDTH, INNER, LAYERS, LONGEST = 24, 32, 4, 64


def save_encoder(folder: Path) -> Path:
    """Write a four-layer model and its WordPiece tokenizer into `folder`, in the layout of Hugging Face."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *WORDS,
        *LETTERS,
        *(f"##{one}" for one in LETTERS),
    ]
    vocab = list(dict.fromkeys(pieces))
    (folder / "vocab.txt").write_text("\n".join(vocab) + "\n")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": LONGEST}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": len(vocab),
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 3,
        "intermediate_size": INNER,
        "max_position_embeddings": LONGEST,
    }
    (folder / "config.json").write_text(json.dumps(config))
    chance = np.random.default_rng(7)
    weights = {}
    for name, shape in sorted(_shapes(len(vocab)).items()):
        centre = 1.0 if name.endswith("LayerNorm.weight") else 0.0
        spread = 1.0 if "word_embeddings" in name else 0.05 if len(shape) == 1 else 0.3
        weights[name] = chance.normal(centre, spread, shape).astype(np.float32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _shapes(words: int) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (words, WIDTH),
        "embeddings.position_embeddings.weight": (LONGEST, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
    }
    dense = {"pooler.dense": (WIDTH, WIDTH)}
    norms = ["embeddings.LayerNorm"]
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        dense |= {f"{layer}.attention.self.{one}": (WIDTH, WIDTH) for one in ("query", "key", "value")}
        dense |= {
            f"{layer}.attention.output.dense": (WIDTH, WIDTH),
            f"{layer}.intermediate.dense": (INNER, WIDTH),
            f"{layer}.output.dense": (WIDTH, INNER),
        }
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for name, shape in dense.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        found |= {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}
    return found
