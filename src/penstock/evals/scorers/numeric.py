"""Numbers in answers."""

import math
import re

from penstock.core.errors import Invalid
from penstock.evals.model import Measure, MetricKind, Output, Sample

_SEPARATORS = {".": ",", ",": "."}
"""Decimal point → the other mark, which groups thousands."""
_SPACES = "_'’\u00a0\u2009\u202f"
"""They group thousands wherever a number is written; a plain space does not, it stands between two numbers."""


def _pattern(decimal: str) -> re.Pattern[str]:
    point, group = re.escape(decimal), re.escape(_SEPARATORS[decimal] + _SPACES)
    return re.compile(
        rf"(?P<sign>(?<![\w)])[-+−])?[$€£¥]?(?<!\w)"
        rf"(?P<whole>\d+(?:[{group}]\d+)*)?(?P<part>(?<!{point}){point}\d+)?(?(whole)|(?(part)|(?!)))"
        r"(?P<power>[eE][-+]?\d+)?(?P<percent>[ \u00a0\u202f]?%)?"
    )


_PATTERNS = {decimal: _pattern(decimal) for decimal in _SEPARATORS}
_GROUPED = re.compile(r"\d{1,3}(?:(\D)\d{3})(?:\1\d{3})*\Z")


def _values(match: re.Match[str], percent: bool) -> list[float]:
    whole = match["whole"] or "0"
    # What is not grouped by threes is a list such as 1,2,3: the sign is its first number's, the rest its last one's.
    parts = [re.sub(r"\D", "", whole)] if _GROUPED.match(whole) else re.split(r"\D", whole)
    parts[0] = f"{(match['sign'] or '').replace('−', '-')}{parts[0]}"
    parts[-1] += f".{match['part'][1:]}" if match["part"] else ""
    parts[-1] += match["power"] or ""
    found = [float(part) for part in parts]
    if percent and match["percent"]:
        found[-1] /= 100
    return [value for value in found if math.isfinite(value)]


def numbers(text: str, *, decimal: str = ".", percent: bool = False) -> list[float]:
    """Return the numbers of a text in order, with signs, grouped thousands, decimals and powers of ten.

    `percent` divides n % by 100. A number glued to a word in front of it (B12, v2) is part of the word.
    """
    matches = _PATTERNS[decimal].finditer(text)
    return [value for match in matches for value in _values(match, percent)]


def close(value: float, wanted: float, *, tolerance: float, relative: float) -> bool:
    """Whether two numbers differ by no more than `tolerance`, or than the share `relative` of the wanted one."""
    if value == wanted:
        return True
    try:
        return abs(value - wanted) <= max(tolerance, relative * abs(wanted))
    except OverflowError:
        # An integer beyond the range of floats, and not the same one.
        return False


def check_tolerances(scorer: str, tolerance: float, relative: float) -> None:
    """Raise Invalid unless both are finite numbers from 0 on."""
    for value in (tolerance, relative):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise Invalid(f"{scorer}'s tolerances must be numbers from 0 on, not {value!r}.")


class Numeric:
    """`numeric`: 1 when the answer's last number is the reference's last number, within a tolerance.

    The last number, because answers end with their result (GSM8K: Cobbe et al., Training Verifiers to Solve
    Math Word Problems, 2021, appendix); `pick: first` takes the first. `tolerance` is absolute, `relative` a
    share of the expected number; the wider one holds. `decimal` is the decimal point, `.` or `,`; the other
    of the two groups thousands. `percent` reads 45 % as 0.45.
    """

    name = "numeric"

    def __init__(
        self,
        *,
        tolerance: float = 0.0,
        relative: float = 1e-9,
        decimal: str = ".",
        percent: bool = False,
        pick: str = "last",
    ) -> None:
        check_tolerances("numeric", tolerance, relative)
        if decimal not in _SEPARATORS:
            raise Invalid(f"numeric's decimal must be '.' or ',', not {decimal!r}.")
        if pick not in ("first", "last"):
            raise Invalid(f"numeric's pick must be 'first' or 'last', not {pick!r}.")
        self._tolerance, self._relative = tolerance, relative
        self._decimal, self._percent = decimal, percent
        self._index = 0 if pick == "first" else -1

    def _read(self, text: str) -> float | None:
        found = numbers(text, decimal=self._decimal, percent=self._percent)
        return found[self._index] if found else None

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return `numeric`, or nothing when no reference holds a number."""
        wanted = [value for text in sample.references if (value := self._read(text)) is not None]
        if not wanted:
            return {}
        said = self._read(output.text)
        if said is None:
            return {"numeric": 0.0}
        right = any(
            close(said, value, tolerance=self._tolerance, relative=self._relative) for value in wanted
        )
        return {"numeric": float(right)}

    def measure(self, metric: str) -> Measure | None:
        """Return that `numeric` is a proportion."""
        return Measure(kind=MetricKind.PROPORTION) if metric == "numeric" else None
