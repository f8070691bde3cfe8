"""Recipes: what to train, on what, and how, as YAML or as a frozen value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from penstock.core.errors import Invalid, NotFound
from penstock.core.suggest import did_you_mean

READY = Path(__file__).parent / "recipes"
"""Folder of the recipes that come with Penstock."""

DPO_LOSSES = ("sigmoid", "hinge", "ipo", "robust", "sft")
SCHEDULES = ("constant", "linear", "cosine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names of the dataset's columns; `messages` rows need none of them."""

    prompt: str = "prompt"
    """Text (one user turn) or a list of messages."""
    completion: str = "completion"
    """The wanted answer (sft)."""
    chosen: str = "chosen"
    """The better answer (dpo)."""
    rejected: str = "rejected"
    """The worse answer (dpo)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """Low-rank adapters (LoRA); ignored when the start is an adapter already, which is then trained further."""

    rank: int = 16
    """Rank of the update matrices; 0 trains every weight instead."""
    alpha: int = 32
    """Scale numerator: updates are multiplied by alpha / rank."""
    dropout: float = 0.0
    """Dropout on the adapter's input, 0 to 1."""
    targets: str | list[str] = "all-linear"
    """Names of the modules to adapt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """What only `dpo` uses."""

    beta: float = 0.1
    """Strength of the pull towards the starting policy."""
    losses: list[str] = field(default_factory=lambda: ["sigmoid"])
    """Loss terms of TRL: sigmoid, hinge, ipo, robust, sft (cross-entropy on the chosen answer)."""
    weights: list[float] | None = None
    """One weight per loss term; None means 1 each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Accepted answers trained along with corrections, so that what was right stays right (dpo)."""

    dataset: str = ""
    """Dataset reference of accepted answers (prompt, completion); empty means no replay."""
    split: str = ""
    """Split of that dataset; empty means all of it."""
    limit: int = 0
    """At most this many accepted answers, chosen by the seed; 0 means all."""
    copies: int = 1
    """Pairs made from each accepted answer, each with another invented wrong answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One training run; every field but name, method, base and dataset has a default."""

    name: str
    """Name under which the result is registered."""
    method: str
    """Trainer plug-in: sft or dpo, or any other that is installed."""
    base: str
    """Model reference to start from: `name@3`, `name@production`, a base model or an adapter."""
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
    epochs: float = 1.0
    """Passes over the data."""
    batch_size: int = 16
    """Rows per step."""
    learning_rate: float = 1e-4
    """Peak learning rate of AdamW."""
    schedule: str = "cosine"
    """constant, linear or cosine decay after the warm-up."""
    warmup_steps: int = 0
    """Steps of linear warm-up."""
    weight_decay: float = 0.0
    """AdamW weight decay."""
    max_length: int = 512
    """Tokens per row; longer rows are refused before the run."""
    seed: int = 0
    """Seed of shuffling, initialisation and dropout."""
    threads: int = 1
    """CPU threads of the child process."""
    log_steps: int = 5
    """Steps between progress reports."""
    checkpoint_steps: int = 50
    """Steps between checkpoints; a killed run goes on from the last one."""
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
        _check_preference(self.preference)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain JSON values, defaults included."""
        return asdict(self)


def _check_preference(preference: Preference) -> None:
    for loss in preference.losses:
        if loss not in DPO_LOSSES:
            raise Invalid(f"{loss!r} is not a preference loss.", hint=did_you_mean(loss, DPO_LOSSES))
    if not preference.losses:
        raise Invalid("preference.losses is empty.", hint=f"Choose from {', '.join(DPO_LOSSES)}.")
    if preference.weights is not None and len(preference.weights) != len(preference.losses):
        raise Invalid("preference.weights needs one weight for each of preference.losses.")


def _value(value: Any, kind: Any, where: str) -> Any:
    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise Invalid(f"{where} must be a table of keys, not {value!r}.")
        return _build(kind, value, f"{where}.")  # type: ignore[arg-type]  # checked to be a dataclass above
    if kind is float and isinstance(value, str):
        # YAML 1.1 reads 5e-3 (no dot) as text.
        try:
            return float(value)
        except ValueError:
            raise Invalid(f"{where} must be a number, not {value!r}.") from None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind in (int, float, str) and (not isinstance(value, kind) or isinstance(value, bool)):
        raise Invalid(f"{where} must be of type {kind.__name__}, not {value!r}.")
    return list(value) if isinstance(value, tuple) else value


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
    """Return `values` with `changes` put on top; a dotted key such as `preference.beta` reaches inside a table."""
    merged = {key: dict(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    for key, value in changes.items():
        table, _, inner = key.partition(".")
        if inner:
            merged[table] = {**(merged.get(table) or {}), inner: value}
        else:
            merged[key] = value
    return merged


def load(source: str | Path, **changes: Any) -> Recipe:
    """Return the recipe in a YAML file, or a ready one by name (`sft-lora`), with `changes` put on top (see `merge`).

    Raises NotFound for a name or file that does not exist, Invalid for anything wrong inside.
    """
    path = Path(source)
    if isinstance(source, str) and source in ready():
        path = READY / f"{source}.yaml"
    elif not path.is_file():
        raise NotFound(f"There is no recipe {str(source)!r}.", hint=did_you_mean(str(source), ready()))
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise NotFound(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} is not valid YAML: {error}.") from error
    if not isinstance(values, Mapping):
        raise Invalid(f"{path} is not a recipe: it must hold keys and values.")
    return parse(merge(values, changes))


def ready() -> list[str]:
    """Return the names of the recipes that come with Penstock."""
    return sorted(path.stem for path in READY.glob("*.yaml"))


def source(name: str) -> str:
    """Return the YAML of a ready recipe; raises NotFound."""
    if name not in ready():
        raise NotFound(f"There is no recipe {name!r}.", hint=did_you_mean(name, ready()))
    return (READY / f"{name}.yaml").read_text()
