"""Recipes: what to train, on what, and how, as YAML or as a frozen value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from penstock.core.errors import Invalid, NotFound
from penstock.core.suggest import did_you_mean
from penstock.training.running import EarlyStop, Running
from penstock.training.sections import (
    DPO_LOSSES,
    LOSS_ON,
    ONLINE,
    Adapter,
    Columns,
    Preference,
    Replay,
    Reward,
    Sampling,
    Teacher,
)

__all__ = [
    "DPO_LOSSES",
    "Adapter",
    "Columns",
    "Preference",
    "Recipe",
    "Replay",
    "Reward",
    "Sampling",
    "Teacher",
    "description",
    "load",
    "merge",
    "parse",
    "ready",
    "source",
]

UNNAMED = "unnamed"
"""What a recipe without a name is called while it is looked at."""
READY = Path(__file__).parent / "recipes"
"""Folder of the recipes that come with Penstock."""

SCHEDULES = ("constant", "linear", "cosine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One training run; every field but name, method, base and dataset has a default."""

    name: str
    """Name under which the result is registered."""
    method: str
    """Trainer plug-in: sft, pretrain, dpo, kto, reward, grpo, rloo, distil, or any other that is installed."""
    base: str
    """What to start from: `name@3` or `name@production`, a base model or an adapter; `OWNER/REPOSITORY[@REVISION]` of a
    hub, or a folder (`/models/small`, `./small`), which are imported into the registry first."""
    dataset: str
    """Dataset reference: `name@3` or `name@latest`."""
    split: str = ""
    """Split of the dataset; empty means all of it."""
    limit: int = 0
    """At most this many rows; 0 means all."""
    columns: Columns = field(default_factory=Columns)
    adapter: Adapter = field(default_factory=Adapter)
    preference: Preference = field(default_factory=Preference)
    replay: Replay = field(default_factory=Replay)
    rewards: list[Reward] = field(default_factory=list)
    """What an answer is worth (grpo, rloo): the weighted sum of these."""
    sampling: Sampling = field(default_factory=Sampling)
    teacher: Teacher = field(default_factory=Teacher)
    loss_on: str = "completion"
    """Which tokens sft and distil learn: the completion, every assistant turn (answers), or all."""
    chat_template: str = ""
    """chatml, or a Jinja template, for a base that has none of its own; only where every weight is trained."""
    packing: bool = False
    """Put several rows into one sequence of max_length, which saves padding (sft); each sees only itself."""
    epochs: float = 1.0
    """Passes over the data."""
    batch_size: int = 16
    """Rows per step; for grpo and rloo answers per step, for dpo and reward pairs."""
    learning_rate: float = 1e-4
    """Peak learning rate of AdamW."""
    schedule: str = "cosine"
    """constant, linear or cosine decay after the warm-up."""
    warmup_steps: int = 0
    """Steps of linear warm-up."""
    weight_decay: float = 0.0
    """AdamW weight decay."""
    max_length: int = 512
    """Tokens per row; longer rows are refused before the run (pretrain cuts them into pieces)."""
    seed: int = 0
    """Seed of shuffling, initialisation and dropout."""
    threads: int = 1
    """CPU threads of the child process."""
    log_steps: int = 5
    """Steps between progress reports."""
    checkpoint_steps: int = 50
    """Steps between checkpoints; a killed run goes on from the last one."""
    running: Running = field(default_factory=Running)
    suite: str = ""
    """Stored suite that judges the registered result, and again whatever is exported from it; empty: early_stop's."""
    early_stop: EarlyStop = field(default_factory=EarlyStop)
    arguments: dict[str, Any] = field(default_factory=dict)
    """Passed to the trainer's configuration of the library (TRL) as they are; they win over everything above."""
    note: str = ""
    """Free text for the model card."""

    def __post_init__(self) -> None:
        """Check ranges; raises Invalid."""
        positive = {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "max_length": self.max_length,
            "threads": self.threads,
            "log_steps": self.log_steps,
            "checkpoint_steps": self.checkpoint_steps,
        }
        for name, value in positive.items():
            if value <= 0:
                raise Invalid(f"{name} must be above zero, not {value}.")
        if self.schedule not in SCHEDULES:
            raise Invalid(
                f"{self.schedule!r} is not a schedule.", hint=did_you_mean(self.schedule, SCHEDULES)
            )
        if self.loss_on not in LOSS_ON:
            raise Invalid(f"loss_on cannot be {self.loss_on!r}.", hint=did_you_mean(self.loss_on, LOSS_ON))
        if self.method in ONLINE:
            self._check_online()

    def _check_online(self) -> None:
        if not self.rewards:
            raise Invalid(
                f"{self.method} needs rewards.",
                hint="For example rewards: [{scorer: exact}], or {model: NAME@1}.",
            )
        if self.batch_size % self.sampling.generations:
            raise Invalid(
                f"batch_size {self.batch_size} is not a multiple of sampling.generations {self.sampling.generations}.",
                hint="The answers to one prompt are compared within one step.",
            )

    def judged_by(self) -> str:
        """Return the suite that the result and its exports are evaluated with; empty: none."""
        return self.suite or self.early_stop.suite

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain JSON values, defaults included."""
        return asdict(self)


def _value(value: Any, kind: Any, where: str) -> Any:
    """Return `value` as the field's type wants it; raises Invalid that names the field."""
    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise Invalid(f"{where} must be a table of keys, not {value!r}.")
        return _build(kind, value, f"{where}.")  # type: ignore[arg-type]  # checked to be a dataclass above
    if isinstance(kind, UnionType):
        return _one_of(value, get_args(kind), where)
    if get_origin(kind) is list:
        if not isinstance(value, list | tuple):
            raise Invalid(f"{where} must be a list, not {value!r}.")
        (inner,) = get_args(kind)
        return [_value(item, inner, f"{where}[{place}]") for place, item in enumerate(value)]
    if get_origin(kind) is dict:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise Invalid(f"{where} must be a table of keys, not {value!r}.")
        return dict(value)
    if kind is float:
        return _number(value, where)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Invalid(f"{where} must be of type {kind.__name__}, not {value!r}.")
    return value


def _one_of(value: Any, kinds: tuple[Any, ...], where: str) -> Any:
    if value is None and NoneType in kinds:
        return None
    whole = [kind for kind in kinds if kind is not NoneType]
    matching = [kind for kind in whole if isinstance(value, get_origin(kind) or kind)]
    return _value(value, (matching or whole)[0], where)


def _number(value: Any, where: str) -> float:
    # YAML 1.1 reads 5e-3 (no dot) as text.
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Invalid(f"{where} must be a number, not {value!r}.")
    try:
        return float(value)
    except ValueError:
        raise Invalid(f"{where} must be a number, not {value!r}.") from None


def _build(kind: type[Any], values: Mapping[str, Any], where: str = "") -> Any:
    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    for key in values:
        if key not in known:
            raise Invalid(f"Unknown recipe key {where}{key}.", hint=did_you_mean(str(key), known))
    missing = [
        name for name in ("name", "method", "base", "dataset") if kind is Recipe and not values.get(name)
    ]
    if missing:
        raise Invalid(f"The recipe lacks {', '.join(missing)}.", hint="Add them, or pass them with --set.")
    return kind(**{key: _value(value, hints[key], f"{where}{key}") for key, value in values.items()})


def parse(values: Mapping[str, Any]) -> Recipe:
    """Return the recipe that plain values describe; raises Invalid for unknown keys (with a suggestion) and types."""
    recipe: Recipe = _build(Recipe, values)
    return recipe


def merge(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with `changes` put on top; a dotted key such as `preference.beta` reaches inside a table.

    Raises Invalid for one that reaches into what is no table.
    """
    merged = {key: dict(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    for key, value in changes.items():
        table, _, inner = str(key).partition(".")
        if inner:
            within = merged.get(table) or {}
            if not isinstance(within, Mapping):
                raise Invalid(f"{table} must be a table of keys, not {within!r}.")
            merged[table] = {**within, inner: value}
        else:
            merged[key] = value
    return merged


def load(source: str | Path, **changes: Any) -> Recipe:
    """Return a ready recipe by name (`sft-lora`), or the one in a YAML file (a Path), with `changes` put on top.

    Changes are as in `merge`. A text is never taken for a path, since names come from outside. Raises NotFound for a
    name or file that does not exist, Invalid for anything wrong inside.
    """
    return parse(merge(_read(source), changes))


def combined(source: str | Mapping[str, Any], changes: Mapping[str, Any]) -> Recipe:
    """Return a ready recipe by name, or the recipe of the keys themselves, with `changes` put on top.

    Raises as `load` does.
    """
    return parse(merge(source if isinstance(source, Mapping) else _read(source), changes))


def load_unnamed(source: str | Path | Mapping[str, Any], changes: Mapping[str, Any]) -> Recipe:
    """Return a recipe that is only to be looked at, and so may lack the name of the model it would make.

    `source` is as in `load`, or the recipe's own keys. Raises as `load` does.
    """
    values = merge(source if isinstance(source, Mapping) else _read(source), changes)
    return parse({**values, "name": values.get("name") or UNNAMED})


def _read(source: str | Path) -> Mapping[str, Any]:
    path = source if isinstance(source, Path) else READY / f"{source}.yaml"
    known = path.is_file() if isinstance(source, Path) else source in ready()
    if not known:
        raise NotFound(f"There is no recipe {str(source)!r}.", hint=did_you_mean(str(source), ready()))
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise NotFound(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} is not valid YAML: {error}.") from error
    if not isinstance(values, Mapping):
        raise Invalid(f"{path} is not a recipe: it must hold keys and values.")
    return values


def ready() -> list[str]:
    """Return the names of the recipes that come with Penstock."""
    return sorted(path.stem for path in READY.glob("*.yaml"))


def description(name: str) -> str:
    """Return what a ready recipe is for: the comment that it starts with; raises NotFound."""
    lines = source(name).splitlines()
    return " ".join(line.lstrip("# ").strip() for line in lines if line.startswith("#"))


def source(name: str) -> str:
    """Return the YAML of a ready recipe; raises NotFound."""
    if name not in ready():
        raise NotFound(f"There is no recipe {name!r}.", hint=did_you_mean(name, ready()))
    return (READY / f"{name}.yaml").read_text()
