"""A recipe: the recorded, ordered list of steps that turned a source into a version.

The YAML or JSON form is a list of steps, each an object whose `step` names it::

    steps:
      - {step: normalise}
      - {step: language, columns: [text], keep: [en]}
      - {step: near_duplicates, columns: [text], threshold: 0.8}
      - {step: redact}
"""

import hashlib
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import msgspec
import yaml

from penstock.core.errors import Invalid
from penstock.core.pii import PiiKind
from penstock.core.suggest import did_you_mean
from penstock.datasets.language import languages

Whitespace: TypeAlias = Literal["keep", "trim", "collapse"]


class _Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step"):
    def reads(self) -> tuple[str, ...]:
        """Return the columns that have to exist before the step."""
        return tuple(getattr(self, "columns", ()))

    def after(self, columns: list[str]) -> list[str]:
        """Return the columns that exist after the step."""
        return columns

    @property
    def name(self) -> str:
        """Return the step's name in the YAML form."""
        return str(self.__struct_config__.tag)


class Normalise(_Step, frozen=True, kw_only=True, tag="normalise"):
    """Bring text into one Unicode form, with one kind of line end and without control characters."""

    columns: tuple[str, ...] = ()
    """Columns to change; empty: all text, nested text included."""
    form: Literal["NFC", "NFKC"] = "NFC"
    whitespace: Whitespace = "trim"
    """`trim` both ends; `collapse` also makes every run of spaces and line ends one space."""


class KeepLanguages(_Step, frozen=True, kw_only=True, tag="language"):
    """Drop rows in other languages."""

    columns: tuple[str, ...] = ()
    """Columns to judge together; empty: all text."""
    keep: tuple[str, ...] = ("en",)
    """ISO 639-1 codes."""
    keep_undetermined: bool = True
    """Whether to keep texts too short to tell."""


class Quality(_Step, frozen=True, kw_only=True, tag="quality"):
    """Drop rows whose text is too short, too long, mostly symbols or repetitive (see quality.Bounds)."""

    columns: tuple[str, ...] = ()
    min_characters: int = 1
    max_characters: int = 0
    min_words: int = 0
    max_symbol_share: float = 1.0
    max_repeated_share: float = 1.0


class ExactDuplicates(_Step, frozen=True, kw_only=True, tag="exact_duplicates"):
    """Keep the first of rows that are equal."""

    columns: tuple[str, ...] = ()
    """Columns to compare; empty: the whole row."""
    ignore_case: bool = False


class NearDuplicates(_Step, frozen=True, kw_only=True, tag="near_duplicates"):
    """Keep the first of rows whose text is nearly the same: Jaccard similarity of 3-word shingles."""

    columns: tuple[str, ...] = ()
    threshold: float = 0.8
    """Similarity, 0 to 1, from which rows count as duplicates."""


class Redact(_Step, frozen=True, kw_only=True, tag="redact"):
    """Replace personal data and secrets by placeholders such as [EMAIL]."""

    columns: tuple[str, ...] = ()
    """Columns to redact; empty: all text, nested text included."""
    kinds: tuple[str, ...] = ()
    """Kinds to replace (see core.pii.PiiKind); empty: all."""


class Select(_Step, frozen=True, kw_only=True, tag="select"):
    """Keep only these columns."""

    columns: tuple[str, ...]

    def after(self, columns: list[str]) -> list[str]:  # noqa: ARG002 - the same call for every step
        """Return the kept columns."""
        return list(self.columns)


class Drop(_Step, frozen=True, kw_only=True, tag="drop"):
    """Remove these columns."""

    columns: tuple[str, ...]

    def after(self, columns: list[str]) -> list[str]:
        """Return the rest."""
        return [name for name in columns if name not in self.columns]


class Rename(_Step, frozen=True, kw_only=True, tag="rename"):
    """Rename columns: old name → new name."""

    names: dict[str, str]

    def reads(self) -> tuple[str, ...]:
        """Return the old names."""
        return tuple(self.names)

    def after(self, columns: list[str]) -> list[str]:
        """Return the columns under their new names; raises Invalid when two would be the same."""
        renamed = [self.names.get(name, name) for name in columns]
        doubled = sorted({name for name in renamed if renamed.count(name) > 1})
        if doubled:
            raise Invalid(f"The step rename makes two columns named {doubled[0]!r}.")
        return renamed


class MapLabels(_Step, frozen=True, kw_only=True, tag="map_labels"):
    """Replace values of one column: old label → new label."""

    column: str
    labels: dict[str, str]
    unknown: Literal["keep", "drop", "fail"] = "keep"
    """What happens to rows with another label."""

    def reads(self) -> tuple[str, ...]:
        """Return the column."""
        return (self.column,)


Step: TypeAlias = (
    Normalise
    | KeepLanguages
    | Quality
    | ExactDuplicates
    | NearDuplicates
    | Redact
    | Select
    | Drop
    | Rename
    | MapLabels
)
STEPS: dict[str, type[_Step]] = {str(step.__struct_config__.tag): step for step in get_args(Step)}
"""Name in the YAML form → step."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Steps, in the order in which they run."""

    steps: tuple[Step, ...] = ()

    @property
    def digest(self) -> str:
        """Return the SHA-256 (hex) that names the recipe."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()

    def check(self, columns: list[str]) -> list[str]:
        """Return the columns after the last step; raises Invalid for a step that reads a missing column."""
        for place, step in enumerate(self.steps, start=1):
            for name in step.reads():
                if name not in columns:
                    raise Invalid(
                        f"Step {place} ({step.name}) reads the column {name!r}, which is not there.",
                        hint=did_you_mean(name, columns),
                    )
            columns = step.after(columns)
        return columns

    def plain(self) -> dict[str, Any]:
        """Return the recipe as JSON values; `parse` reads them back."""
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return found


def parse(data: Any) -> Recipe:
    """Return the recipe of JSON values: `{"steps": [...]}` or the list itself; raises Invalid."""
    if isinstance(data, list | tuple):
        data = {"steps": data}
    steps = data.get("steps") if isinstance(data, dict) else None
    if not isinstance(steps, list | tuple):
        raise Invalid("A recipe is a list of steps.", hint="Write `steps:` with one `- {step: …}` per line.")
    for place, step in enumerate(steps, start=1):
        name = step.get("step") if isinstance(step, dict) else None
        if name not in STEPS:
            raise Invalid(f"Step {place} of the recipe is {name!r}.", hint=did_you_mean(str(name), STEPS))
    try:
        recipe = msgspec.convert(data, Recipe)
    except msgspec.ValidationError as error:
        raise Invalid(
            f"The recipe is not valid: {error}.", hint="See docs/datasets.md for the steps."
        ) from error
    for step in recipe.steps:
        _check_values(step)
    return recipe


def load(path: Path) -> Recipe:
    """Return the recipe of a YAML or JSON file; raises Invalid."""
    try:
        return parse(yaml.safe_load(path.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Invalid(f"The recipe {path} cannot be read: {error}.") from error


def _check_values(step: Step) -> None:
    if isinstance(step, NearDuplicates) and not 0.1 <= step.threshold <= 1:
        raise Invalid("near_duplicates needs a threshold from 0.1 to 1.")
    if isinstance(step, KeepLanguages):
        for code in step.keep:
            if code not in languages():
                raise Invalid(f"Unknown language {code!r}.", hint=did_you_mean(code, languages()))
    if isinstance(step, Redact):
        for kind in step.kinds:
            if kind not in list(PiiKind):
                raise Invalid(
                    f"Unknown kind of personal data {kind!r}.", hint=did_you_mean(kind, map(str, PiiKind))
                )
