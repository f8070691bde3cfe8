"""Translation edit rate, by sacrebleu."""

from collections.abc import Sequence

from sacrebleu.metrics.ter import TER

from penstock.core.errors import Invalid
from penstock.evals.model import Measure, MetricKind, Output, Sample

UNIT = "edits/100 words"


class Ter:
    """`ter`: corpus TER; `ter_sentence`: mean sentence TER; edits per 100 words of the reference, lower is better.

    Insertions, deletions, substitutions and shifts of phrases count one each, so that it may exceed 100.
    `normalized`, `no_punct`, `asian_support` and `case_sensitive` are sacrebleu's options. The time grows
    with about the square of the length (200 words: 7 s): a sample whose answer or one of whose references has
    more than `max_words` words has no score, and the metric's `n` says how many had. Source: Snover et al.,
    AMTA 2006; Post, WMT 2018 (sacrebleu).
    """

    name = "ter"

    def __init__(
        self,
        *,
        normalized: bool = False,
        no_punct: bool = False,
        asian_support: bool = False,
        case_sensitive: bool = False,
        max_words: int = 200,
    ) -> None:
        if isinstance(max_words, bool) or not isinstance(max_words, int) or max_words < 1:
            raise Invalid(f"ter's max_words must be a whole number from 1 on, not {max_words!r}.")
        self._ter = TER(
            normalized=normalized,
            no_punct=no_punct,
            asian_support=asian_support,
            case_sensitive=case_sensitive,
        )
        self._max_words = max_words
        self._last: tuple[str, tuple[str, ...], tuple[float, ...] | None] | None = None

    def _counts(self, text: str, references: tuple[str, ...]) -> tuple[float, ...] | None:
        if not references:
            return None
        if self._last is None or self._last[:2] != (text, references):
            prepared = [self._ter._preprocess_segment(each).split() for each in (text, *references)]
            found = None
            if max(map(len, prepared)) <= self._max_words:
                found = self._ter._extract_corpus_statistics([text], [[each] for each in references])[0]
            self._last = (text, references, found and tuple(map(float, found)))
        return self._last[2]

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return `ter_sentence`, or nothing for a sample without references or with too many words."""
        counts = self._counts(output.text, sample.references)
        return {} if counts is None else {"ter_sentence": self.corpus(counts)["ter"]}

    def sums(self, sample: Sample, output: Output) -> tuple[float, ...]:
        """Return the edits and the mean length of the references in words."""
        return self._counts(output.text, sample.references) or (0.0, 0.0)

    def corpus(self, sums: Sequence[float]) -> dict[str, float]:
        """Return `ter` of the added-up edits and lengths."""
        return {"ter": float(self._ter._aggregate_and_compute([list(sums)]).score)}

    def measure(self, metric: str) -> Measure | None:
        """Return a corpus metric for `ter`, a mean for `ter_sentence`; lower is better."""
        if metric not in ("ter", "ter_sentence"):
            return None
        kind = MetricKind.CORPUS if metric == "ter" else MetricKind.MEAN
        return Measure(kind=kind, higher_is_better=False, unit=UNIT)

    def signature(self, references: int) -> str:
        """Return sacrebleu's signature for samples of so many references each; -1 when their number varies."""
        self._ter.num_refs = references
        return str(self._ter.get_signature())
