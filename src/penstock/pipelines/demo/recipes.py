"""The demo's three training runs."""

from typing import Any

from penstock.training import recipe as recipes
from penstock.training.recipe import Recipe

MODEL = "ticket-triage"
SFT_ROWS = 1000
"""Historical rows to fine-tune on; more changes nothing, as their labels are the limit."""
REVIEWED = 400
"""Production answers that reviewers look at before learning from them."""
_HISTORY = {"prompt": "text", "completion": "label"}


def _small(**values: Any) -> dict[str, Any]:
    """Return what all three share: a model this small wants higher rates and shorter rows than the ready recipes."""
    return {"name": MODEL, "max_length": 320, "log_steps": 5, **values}


def fine_tune(*, base: str, dataset: str, split: str = "", seed: int = 0) -> Recipe:
    """Return the supervised run on historical labels (columns text and label)."""
    values = _small(base=base, dataset=dataset, split=split, seed=seed, columns=_HISTORY, limit=SFT_ROWS)
    rates = {"epochs": 1.0, "batch_size": 8, "learning_rate": 5e-3, "warmup_steps": 10}
    return recipes.load("sft-lora", **values, **rates, note="Fine-tuned on historical labels.")


def corrections_alone(*, base: str, dataset: str, seed: int = 0) -> Recipe:
    """Return the run that goes wrong: corrections alone at a rate that destroys what was right."""
    values = _small(base=base, dataset=dataset, seed=seed)
    rates = {"epochs": 4.0, "batch_size": 16, "learning_rate": 2e-3}
    return recipes.load(
        "dpo-corrections", **values, **rates, note="Preference training on corrections alone."
    )


def with_replay(*, base: str, dataset: str, accepted: str, seed: int = 0) -> Recipe:
    """Return the run that goes right: corrections, replayed accepted answers, and a supervised term."""
    values = _small(base=base, dataset=dataset, seed=seed)
    rates = {"epochs": 1.0, "batch_size": 8, "learning_rate": 1e-3, "replay.dataset": accepted}
    note = "Preference training on corrections with replayed accepted answers."
    return recipes.load("dpo-replay", **values, **rates, note=note)
