"""Whether a pattern matches an answer."""

from typing import Any

from penstock.core.errors import Invalid
from penstock.evals.model import Measure, MetricKind, Output, Sample
from penstock.evals.patterns import compiled

__all__ = ["Regex", "compiled"]


class Regex:
    """`regex`: 1 when the pattern matches; with `group`, when what the group caught equals a reference.

    `pattern` is searched for anywhere, or has to match the `whole` answer (white space at its ends never
    counts). `ignore_case` concerns the pattern and the comparison with the references. `group` is a group's
    number or name; of several matches the last one counts, as in "The answer is (.+)". A group needs
    references: samples without any have no score. Source: RE2 (Cox, Regular Expression Matching in the Wild,
    2010), linear in the answer.
    """

    name = "regex"

    def __init__(
        self, *, pattern: str, whole: bool = False, ignore_case: bool = False, group: int | str | None = None
    ) -> None:
        self._pattern = compiled(pattern, ignore_case=ignore_case)
        self._whole = whole
        self._ignore_case = ignore_case
        self._group = group
        if group is not None and not self._has(group):
            raise Invalid(f"The pattern has no group {group!r}.", hint="Write (…) or (?P<name>…).")

    def _has(self, group: int | str) -> bool:
        if isinstance(group, int) and not isinstance(group, bool):
            return 0 <= group <= int(self._pattern.groups)
        return group in dict(self._pattern.groupindex)

    def _match(self, text: str) -> Any:
        if self._whole:
            return self._pattern.fullmatch(text)
        if self._group is None:
            return self._pattern.search(text)
        return next(reversed(list(self._pattern.finditer(text))), None)

    def _plain(self, text: str) -> str:
        return text.strip().casefold() if self._ignore_case else text.strip()

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return `regex`, or nothing for a group without references to compare with."""
        if self._group is not None and not sample.references:
            return {}
        found = self._match(output.text.strip())
        if found is None or self._group is None:
            return {"regex": float(found is not None)}
        caught = self._plain(found.group(self._group) or "")
        return {"regex": float(any(caught == self._plain(text) for text in sample.references))}

    def measure(self, metric: str) -> Measure | None:
        """Return that `regex` is a proportion."""
        return Measure(kind=MetricKind.PROPORTION) if metric == "regex" else None
