"""The answer filters and the exact match of lm-evaluation-harness.

Sources: lm-eval 0.4, filters/extraction.py, filters/selection.py and filters/transformation.py; `exact_match` of
Hugging Face evaluate, which lm-eval uses.
"""

import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.evals.model import Measure, MetricKind, Output, Sample
from penstock.evals.scorers.regex import compiled

Filter = Callable[[str], str]
_DIGITS = str.maketrans("", "", string.digits)
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def _regex(options: Mapping[str, Any]) -> Filter:
    pattern = compiled(str(options.get("regex_pattern", r"#### (\-?[0-9\.\,]+)")))
    chosen, fallback = int(options.get("group_select", 0)), str(options.get("fallback", "[invalid]"))

    def apply(text: str) -> str:
        # As findall: the groups when there are any, else the whole match.
        found = [match.groups() if pattern.groups else (match.group(0),) for match in pattern.finditer(text)]
        if not -len(found) <= chosen < len(found):
            return fallback
        return next((part for part in found[chosen] if part), "").strip()

    return apply


def _first_blank(text: str) -> str:
    return text.removeprefix(" ")


def _map(options: Mapping[str, Any]) -> Filter:
    known, default = dict(options.get("mapping_dict", {})), options.get("default_value")
    return lambda text: str(known.get(text, text if default is None else default))


FILTERS: dict[str, Callable[[Mapping[str, Any]], Filter]] = {
    "regex": _regex,
    "take_first": lambda _options: lambda text: text,
    "remove_whitespace": lambda _options: _first_blank,
    "lowercase": lambda _options: str.lower,
    "uppercase": lambda _options: str.upper,
    "map": _map,
}


def _pipeline(steps: Sequence[Mapping[str, Any]]) -> Filter:
    made = []
    for step in steps:
        name = step.get("function")
        if name not in FILTERS:
            raise Invalid(f"There is no filter {name!r}.", hint=did_you_mean(str(name), sorted(FILTERS)))
        made.append(FILTERS[name]({key: value for key, value in step.items() if key != "function"}))

    def apply(text: str) -> str:
        for step in made:
            text = step(text)
        return text

    return apply


class Harness:
    """`exact_match,<filter>` as lm-evaluation-harness scores it: filters on the answer, then equality with a reference.

    `filters` maps a filter's name to its steps ({function: regex, regex_pattern, group_select, fallback},
    take_first, remove_whitespace, lowercase, uppercase, map); without any the metric is `exact_match`. Options
    of the match: `ignore_case`, `ignore_punctuation`, `ignore_numbers`, `regexes_to_ignore` (removed from both
    sides). Patterns are RE2: look-around is refused. Samples without references have no score.
    """

    name = "harness"

    def __init__(
        self,
        *,
        filters: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
        ignore_case: bool = False,
        ignore_punctuation: bool = False,
        ignore_numbers: bool = False,
        regexes_to_ignore: Sequence[str] = (),
    ) -> None:
        self._filters = {
            "exact_match" if name == "none" else f"exact_match,{name}": _pipeline(steps)
            for name, steps in (filters or {"none": []}).items()
        }
        self._ignored = [compiled(pattern) for pattern in regexes_to_ignore]
        self._options = (ignore_case, ignore_punctuation, ignore_numbers)

    def _plain(self, text: str) -> str:
        case, punctuation, numbers = self._options
        for pattern in self._ignored:
            text = pattern.sub("", text)
        text = text.lower() if case else text
        text = text.translate(_PUNCTUATION) if punctuation else text
        return text.translate(_DIGITS) if numbers else text

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return one metric for each filter."""
        wanted = {self._plain(text) for text in sample.references}
        if not wanted:
            return {}
        return {
            name: float(self._plain(apply(output.text)) in wanted) for name, apply in self._filters.items()
        }

    def measure(self, metric: str) -> Measure | None:
        """Return a proportion for the metrics of its filters."""
        return Measure(kind=MetricKind.PROPORTION) if metric in self._filters else None
