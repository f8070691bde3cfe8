"""A student with fewer layers that learns its parent's probabilities.

`penstock models optimise NAME@3 --to distil:2,dataset=tickets@1` runs this in a child process. Needs the `train` extra.
"""

from pathlib import Path
from typing import Any

from penstock.core.errors import Invalid
from penstock.optimise.exporters import healing, layers
from penstock.optimise.exporters.texts import Report


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Write the student and the parent's tokenizer into the folder `spec["output"]`.

    `spec`: `source` (Hugging Face folder), `output`, `layers`, `rows` and how to train, see `methods.Healing`.
    Returns `path`, `kept` (layers of the parent the student began as), `parameters` before and after, the losses.
    """
    source, output = Path(spec["source"]), Path(spec["output"])
    tokenizer, teacher = healing.load(spec)
    _, student = healing.load(spec)
    have, wanted = layers.count(student), int(spec["layers"])
    if wanted >= have:
        raise Invalid(f"A student of {wanted} layers is no smaller than its parent of {have}.")
    kept = layers.spread(have, wanted)
    report({"stage": "distil", "layers": wanted, "of": have})
    layers.keep(student, kept)
    losses = healing.heal(student, teacher, tokenizer, spec, report)
    healing.save(student, source, output)
    return {
        "path": str(output),
        "kept": kept,
        "parameters_before": layers.parameters(teacher),
        "parameters": layers.parameters(student),
        **losses,
    }
