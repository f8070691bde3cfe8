"""Fewer weights: the smallest ones set to zero, or whole heads, layers or neurons taken out; then healed.

`penstock models optimise NAME@3 --to prune:neurons,amount=0.5,dataset=tickets@1` runs this in a child process. Needs
the `train` extra. Only what is taken out makes files smaller and answers faster: zeros are stored and multiplied like
other numbers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from penstock.core.errors import Invalid
from penstock.optimise.exporters import healing, layers
from penstock.optimise.exporters.texts import Report

_CALIBRATION = 4
"""Batches that tell which layers matter."""

Keep = Callable[[], None]


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Write the pruned model and its parent's tokenizer into the folder `spec["output"]`.

    `spec`: `source` (Hugging Face folder), `output`, `structure`, `amount` (share that goes), and, where it shall be
    healed, `rows` and how to train, see `methods.Healing`. Returns `path`, what went, `parameters` before and after,
    the losses. Raises Invalid when so large a share leaves nothing, or the architecture has no such parts.
    """
    source, output, structure = Path(spec["source"]), Path(spec["output"]), str(spec["structure"])
    if structure not in STRUCTURES:
        raise Invalid(f"Unknown structure {structure!r}; choose {', '.join(STRUCTURES)}.")
    tokenizer, model = healing.load(spec)
    before = layers.parameters(model)
    report({"stage": "prune", "structure": structure, "parameters": before})
    said, keep = STRUCTURES[structure](model, tokenizer, spec)
    losses: dict[str, float] = {}
    if spec.get("rows"):
        _, teacher = healing.load(spec)
        losses = healing.heal(model, teacher, tokenizer, spec, report, keep)
    healing.save(model, source, output)
    after = {"parameters_before": before, "parameters": layers.parameters(model)}
    return {"path": str(output), **said, **after, **losses}


def _nothing() -> None:
    return None


def _magnitude(model: Any, _tokenizer: Any, spec: Any) -> tuple[dict[str, Any], Keep]:
    """Set each matrix's smallest weights to zero, embeddings apart, and keep them there."""
    amount, masks = float(spec["amount"]), []
    for layer in layers.decoder(model).layers:
        for module in layer.modules():
            if isinstance(module, torch.nn.Linear):
                weight = module.weight.data
                threshold = weight.abs().flatten().kthvalue(max(1, int(weight.numel() * amount))).values
                masks.append((module.weight, weight.abs() > threshold))

    def keep() -> None:
        with torch.no_grad():
            for weight, mask in masks:
                weight.mul_(mask)

    keep()
    zeros = sum(int((~mask).sum()) for _, mask in masks)
    return {"zeros": zeros, "of": sum(mask.numel() for _, mask in masks)}, keep


def _layers(model: Any, tokenizer: Any, spec: Any) -> tuple[dict[str, Any], Keep]:
    """Take out the layers that change least what passes through them, as the rows show."""
    if not spec.get("rows"):
        raise Invalid("Which layers matter is seen on data.", hint="Add dataset=NAME@VERSION.")
    have = layers.count(model)
    gone = _share(have, float(spec["amount"]), "layers")
    texts = healing.read_texts(str(spec["rows"]), tokenizer)
    most = int(getattr(model.config, "max_position_embeddings", 1024))
    chosen = healing.batches(texts, int(spec["batch_size"]), _CALIBRATION, int(spec["seed"]))
    scores = layers.influence(model, [healing.encode(tokenizer, batch, most) for batch in chosen])
    removed = sorted(sorted(range(have), key=lambda place: scores[place])[:gone])
    layers.keep(model, [place for place in range(have) if place not in removed])
    return {"removed_layers": removed, "of": have}, _nothing


def _share(have: int, amount: float, what: str) -> int:
    """Return how many of `have` go, at least one; raises Invalid when none would stay."""
    gone = max(1, round(have * amount))
    if gone >= have:
        raise Invalid(f"The model has {have} {what}; {amount:g} of them leaves none.")
    return gone


def _best(scores: torch.Tensor, stay: int) -> torch.Tensor:
    return scores.topk(stay).indices.sort().values


def _rows(linear: Any, places: torch.Tensor) -> None:
    """Keep only these outputs of a linear layer."""
    linear.weight = torch.nn.Parameter(linear.weight.data[places].clone())
    if linear.bias is not None:
        linear.bias = torch.nn.Parameter(linear.bias.data[places].clone())
    linear.out_features = len(places)


def _columns(linear: Any, places: torch.Tensor) -> None:
    """Keep only these inputs of a linear layer."""
    linear.weight = torch.nn.Parameter(linear.weight.data[:, places].clone())
    linear.in_features = len(places)


def _parts(model: Any, path: str, names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    found = []
    for layer in layers.decoder(model).layers:
        part = getattr(layer, path, None)
        if part is None or not all(isinstance(getattr(part, name, None), torch.nn.Linear) for name in names):
            raise Invalid(f"{type(model).__name__} has no {path} with {', '.join(names)}.")
        found.append((part, *(getattr(part, name) for name in names)))
    return found


def _neurons(model: Any, _tokenizer: Any, spec: Any) -> tuple[dict[str, Any], Keep]:
    """Take out the neurons of each MLP with the least product of the sizes of what leads in and out."""
    have = int(model.config.intermediate_size)
    stay = have - _share(have, float(spec["amount"]), "neurons")
    for _, gate, up, down in _parts(model, "mlp", ("gate_proj", "up_proj", "down_proj")):
        scores = gate.weight.data.norm(dim=1) * up.weight.data.norm(dim=1) * down.weight.data.norm(dim=0)
        places = _best(scores, stay)
        _rows(gate, places)
        _rows(up, places)
        _columns(down, places)
    model.config.intermediate_size = stay
    return {"neurons": stay, "of": have}, _nothing


def _heads(model: Any, _tokenizer: Any, spec: Any) -> tuple[dict[str, Any], Keep]:
    """Take out the groups of heads (one of keys and values with its queries) that add least to the output."""
    config = model.config
    groups, heads = int(config.num_key_value_heads), int(config.num_attention_heads)
    size = int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    stay = groups - _share(groups, float(spec["amount"]), "groups of heads")
    queries = heads // groups
    for part, q, k, v, o in _parts(model, "self_attn", ("q_proj", "k_proj", "v_proj", "o_proj")):
        values = v.weight.data.view(groups, size, -1).flatten(1).norm(dim=1)
        outputs = o.weight.data.view(-1, groups, queries * size).transpose(0, 1).flatten(1).norm(dim=1)
        kept = _best(values * outputs, stay)
        narrow, wide = _expanded(kept, size), _expanded(kept, queries * size)
        _rows(q, wide)
        _rows(k, narrow)
        _rows(v, narrow)
        _columns(o, wide)
        for name, number in (("num_heads", stay * queries), ("num_key_value_heads", stay)):
            if hasattr(part, name):
                setattr(part, name, number)
    config.num_attention_heads, config.num_key_value_heads = stay * queries, stay
    config.head_dim = size
    return {"heads": stay * queries, "of": heads}, _nothing


def _expanded(groups: torch.Tensor, size: int) -> torch.Tensor:
    """Return the places of each group's `size` rows."""
    return (groups[:, None] * size + torch.arange(size)).flatten()


STRUCTURES: dict[str, Callable[[Any, Any, Any], tuple[dict[str, Any], Keep]]] = {
    "magnitude": _magnitude,
    "heads": _heads,
    "layers": _layers,
    "neurons": _neurons,
}
"""Structure → (model, tokenizer, spec) → what went, and what keeps it gone while training."""
