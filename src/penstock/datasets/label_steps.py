"""Steps that label rows and write new ones: by words, by a model, by the vote of several labelers."""

from typing import Literal

from penstock.core.errors import Invalid
from penstock.datasets.step import BaseStep


class LabelByWords(BaseStep, frozen=True, kw_only=True, tag="label_words"):
    """Label rows by words that tell: a labeling function (Ratner et al. 2017, Snorkel); null when none is there."""

    columns: tuple[str, ...] = ()
    """Text to look at; empty: all."""
    words: dict[str, tuple[str, ...]]
    """Label → words and phrases; the label with the most finds wins, a draw gives null."""
    into: str

    def after(self, columns: list[str]) -> list[str] | None:
        """Return the columns and the label."""
        return [*dict.fromkeys([*columns, self.into])]


class _Asking(BaseStep, frozen=True, kw_only=True):
    model: str
    """Public name of a route of the gateway."""
    instruction: str
    temperature: float = 0.0
    max_tokens: int = 64
    max_calls: int = 1000
    max_cost_usd: float = 1.0
    """The step stops asking at either; calls that were under way then still finish."""

    def check(self) -> None:
        """Raise Invalid for an instruction or caps that cannot be meant."""
        if not self.instruction.strip():
            raise Invalid(f"{self.name} needs an instruction.", hint="Say what the model is to do.")
        self._within("max_calls", 1, 10_000_000)
        self._within("max_cost_usd", 0, 1e6)
        self._within("temperature", 0, 2)


class LabelByModel(_Asking, frozen=True, kw_only=True, tag="label"):
    """Label rows by a model; the share of its answers that agree is the confidence (Wang et al. 2022)."""

    columns: tuple[str, ...] = ()
    """Text to show the model; empty: all."""
    labels: tuple[str, ...]
    into: str = "label"
    """Column of the label; the confidence goes into `<into>_confidence`."""
    samples: int = 1
    """Answers per row; more than one wants a temperature above 0."""

    def after(self, columns: list[str]) -> list[str] | None:
        """Return the columns, the label and its confidence."""
        return [*dict.fromkeys([*columns, self.into, f"{self.into}_confidence"])]

    def check(self) -> None:
        """Raise Invalid for less than two labels."""
        super().check()
        self._within("samples", 1, 100)
        if len({label.casefold() for label in self.labels}) < max(2, len(self.labels)):
            raise Invalid("label needs two or more different labels.", hint="Name them: labels: [a, b].")


class Synthesise(_Asking, frozen=True, kw_only=True, tag="synthesise"):
    """Let a model write new rows like existing ones (Wang et al. 2023, Self-Instruct); they stand behind the rest."""

    columns: tuple[str, ...]
    """Columns of the new rows; the model sees the same of its seeds."""
    per_seed: int = 1
    """New rows to ask for at each seed."""
    rows: int = 100
    """Seeds to use, spread over all rows."""
    mark: str = "synthetic"
    """Column that is true in new rows and false in the others."""

    def after(self, columns: list[str]) -> list[str] | None:
        """Return the columns and the mark."""
        return [*dict.fromkeys([*columns, self.mark])]

    @property
    def repeats(self) -> bool:
        """Whether the key names a row no longer: new rows have none."""
        return True

    def check(self) -> None:
        """Raise Invalid for numbers that cannot be meant."""
        super().check()
        self._within("per_seed", 1, 50)
        self._within("rows", 1, 1e7)


class Vote(BaseStep, frozen=True, kw_only=True, tag="vote"):
    """Make one label of several labelers' columns (see votes); the report tells how far they agree."""

    columns: tuple[str, ...]
    into: str = "label"
    """Column of the label; its probability goes into `<into>_confidence`."""
    method: Literal["dawid_skene", "majority"] = "dawid_skene"
    min_confidence: float = 0.0
    below: Literal["empty", "drop"] = "empty"
    """What happens to rows below `min_confidence` and to rows without any vote."""

    def after(self, columns: list[str]) -> list[str] | None:
        """Return the columns, the label and its confidence."""
        return [*dict.fromkeys([*columns, self.into, f"{self.into}_confidence"])]

    def check(self) -> None:
        """Raise Invalid for less than two labelers."""
        self._within("min_confidence", 0, 1)
        if len(set(self.columns)) < 2:
            raise Invalid("vote needs two or more columns.", hint="Name the labelers' columns.")
