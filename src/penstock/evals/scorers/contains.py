"""Whether texts occur in an answer."""

import re
from collections.abc import Callable, Sequence

from penstock.core.errors import Invalid
from penstock.evals.model import Measure, MetricKind, Output, Sample

_MODES: dict[str, Callable[[list[bool]], bool]] = {"any": any, "all": all}


class Contains:
    """`contains`: 1 when the answer holds the wanted texts and none of the unwanted ones.

    Wanted are `texts`, or each sample's references when none are given; `mode` asks for `any` of them (the default)
    or `all`. `absent` lists texts that must not occur. `ignore_case` compares case-folded; `whole_words` finds
    a text only where no letter, digit or underscore touches it. Empty texts are never looked for.
    Source: the inclusion match of question answering; lm-evaluation-harness and Inspect call it `includes`.
    """

    name = "contains"

    def __init__(
        self,
        *,
        texts: Sequence[str] = (),
        absent: Sequence[str] = (),
        mode: str = "any",
        ignore_case: bool = False,
        whole_words: bool = False,
    ) -> None:
        if mode not in _MODES:
            raise Invalid(f"contains' mode must be 'any' or 'all', not {mode!r}.")
        if isinstance(texts, str) or isinstance(absent, str):
            raise Invalid("contains' texts and absent must be lists.")
        self._enough = _MODES[mode]
        self._ignore_case = ignore_case
        self._whole_words = whole_words
        self._texts = self._asked(texts)
        self._absent = self._asked(absent)

    def _asked(self, texts: Sequence[str]) -> list[str]:
        return [folded for text in texts if (folded := self._fold(text.strip()))]

    def _fold(self, text: str) -> str:
        return text.casefold() if self._ignore_case else text

    def _holds(self, answer: str, text: str) -> bool:
        if not self._whole_words:
            return text in answer
        return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", answer) is not None

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return `contains`, or nothing when there is no text to look for."""
        wanted = self._texts or self._asked(sample.references)
        if not wanted and not self._absent:
            return {}
        answer = self._fold(output.text)
        found = not wanted or self._enough([self._holds(answer, text) for text in wanted])
        return {"contains": float(found and not any(self._holds(answer, text) for text in self._absent))}

    def measure(self, metric: str) -> Measure | None:
        """Return that `contains` is a proportion."""
        return Measure(kind=MetricKind.PROPORTION) if metric == "contains" else None
