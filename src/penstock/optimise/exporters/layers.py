"""A decoder's layers: how many, which matter, and keeping only some."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from penstock.core.errors import Invalid


def decoder(model: Any) -> Any:
    """Return the part of a causal model that holds `layers`; raises Invalid for other architectures."""
    found = model.get_decoder()
    if not hasattr(found, "layers"):
        raise Invalid(f"The layers of {type(model).__name__} cannot be told apart here.")
    return found


def count(model: Any) -> int:
    """Return how many layers the model has."""
    return len(decoder(model).layers)


def parameters(model: Any) -> int:
    """Return how many weights the model has; tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def spread(have: int, wanted: int) -> list[int]:
    """Return `wanted` of `have` places, evenly spread, the first and (from two on) the last among them."""
    if wanted == 1:
        return [0]
    return [round(place * (have - 1) / (wanted - 1)) for place in range(wanted)]


def keep(model: Any, places: Sequence[int]) -> None:
    """Leave only the layers at `places`, in order, and say so in the model's config."""
    found = decoder(model)
    found.layers = torch.nn.ModuleList([found.layers[place] for place in places])
    for place, layer in enumerate(found.layers):
        if hasattr(layer.self_attn, "layer_idx"):
            layer.self_attn.layer_idx = place
    config = model.config
    config.num_hidden_layers = len(places)
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[place] for place in places]


def influence(model: Any, batches: Sequence[dict[str, Any]]) -> list[float]:
    """Return how much each layer changes what passes through it, 0 for nothing.

    One minus the mean cosine of a layer's input and output (block influence, Men et al. 2024, arXiv:2403.03853).
    """
    sums, tokens = [0.0] * count(model), 0.0
    for batch in batches:
        mask = batch["attention_mask"].bool()
        with torch.no_grad():
            states = model(**batch, output_hidden_states=True).hidden_states
        for place in range(len(sums)):
            alike = functional.cosine_similarity(states[place], states[place + 1], dim=-1)
            sums[place] += float((1 - alike)[mask].sum())
        tokens += float(mask.sum())
    return [total / tokens for total in sums]
