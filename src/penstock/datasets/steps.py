"""The steps a recipe can hold: what each does and its options. Frozen; their values are checked by `check`.

`VERSION` (see step.BaseStep) rises whenever a step would give other rows for the same options.
"""

import re
from typing import Literal, TypeAlias

from penstock.core.errors import Invalid
from penstock.core.pii import PiiKind
from penstock.core.suggest import did_you_mean
from penstock.datasets.label_steps import LabelByModel, LabelByWords, Synthesise, Vote
from penstock.datasets.language import languages
from penstock.datasets.step import BaseStep

Whitespace: TypeAlias = Literal["keep", "trim", "collapse"]
WEIGHT = "weight"
"""Column that `reweigh` writes unless told otherwise."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Normalise(BaseStep, frozen=True, kw_only=True, tag="normalise"):
    """Bring text into one Unicode form, with one kind of line end and without control characters."""

    columns: tuple[str, ...] = ()
    """Columns to change; empty: all text, nested text included."""
    form: Literal["NFC", "NFKC"] = "NFC"
    whitespace: Whitespace = "trim"
    """`trim` both ends; `collapse` also makes every run of spaces and line ends one space."""


class Repair(BaseStep, frozen=True, kw_only=True, tag="repair"):
    """Repair text that was decoded wrongly (`cafÃ©` → `café`), with ftfy (the extra `clean`)."""

    columns: tuple[str, ...] = ()
    straight_quotes: bool = False
    """Whether to make typographic quotes straight."""


class StripHtml(BaseStep, frozen=True, kw_only=True, tag="html"):
    """Replace HTML by the text a reader would see; text without tags or entities stays as it is."""

    columns: tuple[str, ...] = ()
    links: bool = False
    """Whether to write a link's address behind its text."""


class KeepLanguages(BaseStep, frozen=True, kw_only=True, tag="language"):
    """Drop rows in other languages."""

    columns: tuple[str, ...] = ()
    """Columns to judge together; empty: all text."""
    keep: tuple[str, ...] = ("en",)
    """ISO 639-1 codes."""
    keep_undetermined: bool = True
    """Whether to keep texts too short to tell."""

    def check(self) -> None:
        """Raise Invalid for a language that `detect` never gives."""
        for code in self.keep:
            if code not in languages():
                raise Invalid(f"Unknown language {code!r}.", hint=did_you_mean(code, languages()))


class Quality(BaseStep, frozen=True, kw_only=True, tag="quality"):
    """Drop rows whose text is too short, too long, mostly symbols or repetitive (see quality.Bounds)."""

    columns: tuple[str, ...] = ()
    min_characters: int = 1
    max_characters: int = 0
    min_words: int = 0
    max_symbol_share: float = 1.0
    max_repeated_share: float = 1.0


class Gopher(BaseStep, frozen=True, kw_only=True, tag="gopher"):
    """Drop documents by the rules of Gopher (Rae et al. 2021, section A1.1; see web_rules)."""

    columns: tuple[str, ...] = ()
    min_words: int = 50
    max_words: int = 100_000
    stop_words: int = 2
    """How many of the, be, to, of, and, that, have, with an English text must hold; 0 for other languages."""
    repetition: bool = True
    """Whether repeated lines, paragraphs and word n-grams count too."""


class C4(BaseStep, frozen=True, kw_only=True, tag="c4"):
    """Clean web pages by the rules of C4 (Raffel et al. 2020, section 2.2; see web_rules)."""

    columns: tuple[str, ...] = ()
    min_line_words: int = 5
    min_sentences: int = 3
    terminal_punctuation: bool = True
    """Whether lines that end without . ! ? or a quote go."""


class Boilerplate(BaseStep, frozen=True, kw_only=True, tag="boilerplate"):
    """Remove lines that stand in many rows (menus, footers, signatures); rows left empty are dropped."""

    columns: tuple[str, ...] = ()
    min_rows: int = 10
    """A line in so many rows is boilerplate …"""
    min_share: float = 0.0
    """… if that is also at least this share of all rows."""
    min_characters: int = 10
    """Shorter lines are left alone."""

    def check(self) -> None:
        """Raise Invalid for bounds that would remove lines of single rows."""
        self._within("min_rows", 2, 1e12)
        self._within("min_share", 0, 1)


class ExactDuplicates(BaseStep, frozen=True, kw_only=True, tag="exact_duplicates"):
    """Keep the first of rows that are equal."""

    columns: tuple[str, ...] = ()
    """Columns to compare; empty: the whole row."""
    ignore_case: bool = False


class NearDuplicates(BaseStep, frozen=True, kw_only=True, tag="near_duplicates"):
    """Keep the first of rows whose text is nearly the same: Jaccard similarity of 3-word shingles."""

    columns: tuple[str, ...] = ()
    threshold: float = 0.8
    """Similarity, 0 to 1, from which rows count as duplicates."""

    def check(self) -> None:
        """Raise Invalid for a threshold that finds everything or nothing."""
        self._within("threshold", 0.1, 1)


class SemanticDuplicates(BaseStep, frozen=True, kw_only=True, tag="semantic_duplicates"):
    """Keep the first of rows whose embeddings are close (SemDeDup; see semantic)."""

    columns: tuple[str, ...] = ()
    threshold: float = 0.9
    """Cosine, 0 to 1, from which rows count as duplicates."""

    def check(self) -> None:
        """Raise Invalid for a threshold that finds everything or nothing."""
        self._within("threshold", 0.3, 1)


class Decontaminate(BaseStep, frozen=True, kw_only=True, tag="decontaminate"):
    """Find rows that share word n-grams with evaluation sets (Brown et al. 2020, appendix C; see contamination)."""

    against: tuple[str, ...]
    """Dataset versions, such as `gsm8k@2`; recorded with their number."""
    columns: tuple[str, ...] = ()
    against_columns: tuple[str, ...] = ()
    """Columns of the evaluation sets to protect; empty: all text."""
    n: int = 13
    """Words per n-gram; shorter protected texts are compared whole."""
    min_matches: int = 1
    """Shared n-grams from which a row counts as contaminated."""
    action: Literal["drop", "flag"] = "drop"
    """`flag` writes the version's ref into the column `contaminated` instead of dropping the row."""

    def after(self, columns: list[str]) -> list[str] | None:
        """Return the columns, with the flag."""
        return columns if self.action == "drop" else [*dict.fromkeys([*columns, "contaminated"])]

    def check(self) -> None:
        """Raise Invalid without sets, or for n-grams that are no evidence."""
        self._within("n", 4, 100)
        self._within("min_matches", 1, 1e9)
        if not self.against:
            raise Invalid("decontaminate needs evaluation sets.", hint="Name them: against: [name@3].")


class Redact(BaseStep, frozen=True, kw_only=True, tag="redact"):
    """Replace personal data and secrets."""

    columns: tuple[str, ...] = ()
    """Columns to redact; empty: all text, nested text included."""
    kinds: tuple[str, ...] = ()
    """Kinds to replace (see core.pii.PiiKind); empty: all."""
    mode: Literal["mask", "hash", "surrogate"] = "mask"
    """`[EMAIL]` · `[EMAIL:3f9c…]`, the same for the same value in this home · an invented value of the same form."""

    def check(self) -> None:
        """Raise Invalid for an unknown kind."""
        for kind in self.kinds:
            if kind not in list(PiiKind):
                raise Invalid(
                    f"Unknown kind of personal data {kind!r}.", hint=did_you_mean(kind, map(str, PiiKind))
                )


class Select(BaseStep, frozen=True, kw_only=True, tag="select"):
    """Keep only these columns."""

    columns: tuple[str, ...]

    def after(self, columns: list[str]) -> list[str] | None:  # noqa: ARG002 - the same call for every step
        """Return the kept columns."""
        return list(self.columns)


class Drop(BaseStep, frozen=True, kw_only=True, tag="drop"):
    """Remove these columns."""

    columns: tuple[str, ...]

    def after(self, columns: list[str]) -> list[str] | None:
        """Return the rest."""
        return [name for name in columns if name not in self.columns]


class Rename(BaseStep, frozen=True, kw_only=True, tag="rename"):
    """Rename columns: old name → new name."""

    names: dict[str, str]

    def reads(self) -> tuple[str, ...]:
        """Return the old names."""
        return tuple(self.names)

    def after(self, columns: list[str]) -> list[str] | None:
        """Return the columns under their new names; raises Invalid when two would be the same."""
        renamed = [self.names.get(name, name) for name in columns]
        doubled = sorted({name for name in renamed if renamed.count(name) > 1})
        if doubled:
            raise Invalid(f"The step rename makes two columns named {doubled[0]!r}.")
        return renamed


class MapLabels(BaseStep, frozen=True, kw_only=True, tag="map_labels"):
    """Replace values of one column: old label → new label."""

    column: str
    labels: dict[str, str]
    unknown: Literal["keep", "drop", "fail"] = "keep"
    """What happens to rows with another label."""

    def reads(self) -> tuple[str, ...]:
        """Return the column."""
        return (self.column,)


class Sql(BaseStep, frozen=True, kw_only=True, tag="sql"):
    """Replace the rows by the answer of one `SELECT … FROM data` (DataFusion's SQL)."""

    query: str

    def after(self, columns: list[str]) -> list[str] | None:  # noqa: ARG002 - the same call for every step
        """Return None: the query decides."""
        return None

    def check(self) -> None:
        """Raise Invalid for anything but one query."""
        if not re.match(r"\s*(?:select|with)\b", self.query, re.IGNORECASE):
            raise Invalid(
                "sql takes one query.", hint="Begin with SELECT or WITH; the rows are the table data."
            )


class Python(BaseStep, frozen=True, kw_only=True, tag="python"):
    """Run a function of yours over every row; only where you run it yourself, never on the server."""

    function: str
    """Its name in the file, or given to `clean`."""
    sha256: str = ""
    """Hash of the source; filled in when it first runs, and checked when it runs again."""
    does: Literal["map", "filter"] = "map"
    """`map` returns the new row (None drops it, a list gives several); `filter` says whether to keep the row."""

    def after(self, columns: list[str]) -> list[str] | None:
        """Return None for map: the function decides."""
        return columns if self.does == "filter" else None

    def check(self) -> None:
        """Raise Invalid for something that is no SHA-256."""
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise Invalid("python needs sha256 as 64 hexadecimal digits.", hint="Leave it out to record it.")


class Reweigh(BaseStep, frozen=True, kw_only=True, tag="reweigh"):
    """Write weights that make label and group independent (Kamiran & Calders 2012): P(g)·P(y) / P(g, y)."""

    group: str
    label: str
    into: str = WEIGHT

    def reads(self) -> tuple[str, ...]:
        """Return both columns."""
        return self.group, self.label

    def after(self, columns: list[str]) -> list[str] | None:
        """Return the columns and the weight."""
        return [*dict.fromkeys([*columns, self.into])]


class Balance(BaseStep, frozen=True, kw_only=True, tag="balance"):
    """Give every value of a column as many rows as the rarest (drop) or the commonest (repeat)."""

    column: str
    how: Literal["drop", "repeat"] = "drop"
    seed: int = 0
    most: float = 1.0
    """With `drop`: how many times the rarest value's rows another value may keep."""

    def reads(self) -> tuple[str, ...]:
        """Return the column."""
        return (self.column,)

    @property
    def repeats(self) -> bool:
        """Whether a row may come out more than once."""
        return self.how == "repeat"

    def check(self) -> None:
        """Raise Invalid for a share below the rarest's own."""
        self._within("most", 1, 1e9)


class Swap(BaseStep, frozen=True, kw_only=True, tag="swap"):
    """Put a counterfactual copy behind every row that a swap list changes (Lu et al. 2018; see swaps)."""

    columns: tuple[str, ...] = ()
    lists: tuple[str, ...] = ("gender",)
    """Built-in lists (see swaps.LISTS)."""
    pairs: tuple[tuple[str, str], ...] = ()
    """More pairs of words, swapped in both directions."""
    replace: bool = False
    """Whether the copy takes the row's place."""

    @property
    def repeats(self) -> bool:
        """Whether a row may come out more than once."""
        return not self.replace

    def check(self) -> None:
        """Raise Invalid for an unknown list."""
        for name in self.lists:
            if name not in SWAP_LISTS:
                raise Invalid(f"Unknown swap list {name!r}.", hint=did_you_mean(name, SWAP_LISTS))


SWAP_LISTS = ("gender",)
"""Names of the built-in lists of `swaps`."""

Step: TypeAlias = (
    Normalise
    | Repair
    | StripHtml
    | KeepLanguages
    | Quality
    | Gopher
    | C4
    | Boilerplate
    | ExactDuplicates
    | NearDuplicates
    | SemanticDuplicates
    | Decontaminate
    | Redact
    | Select
    | Drop
    | Rename
    | MapLabels
    | Sql
    | Python
    | Reweigh
    | Balance
    | Swap
    | LabelByWords
    | LabelByModel
    | Vote
    | Synthesise
)
