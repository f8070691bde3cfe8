"""chrF, by sacrebleu."""

from collections.abc import Sequence

from sacrebleu.metrics.chrf import CHRF

from penstock.evals.model import Measure, MetricKind, Output, Sample


class Chrf:
    """`chrf`: corpus chrF; `chrf_sentence`: mean sentence chrF; both 0-100 as sacrebleu reports them.

    `char_order`, `word_order` (2 makes it chrF++), `beta`, `lowercase` and `whitespace` are sacrebleu's options.
    Source: Popović, WMT 2015 (chrF) and WMT 2017 (chrF++); Post, WMT 2018 (sacrebleu).
    """

    name = "chrf"

    def __init__(
        self,
        *,
        char_order: int = 6,
        word_order: int = 0,
        beta: int = 2,
        lowercase: bool = False,
        whitespace: bool = False,
    ) -> None:
        self._chrf = CHRF(
            char_order=char_order,
            word_order=word_order,
            beta=beta,
            lowercase=lowercase,
            whitespace=whitespace,
        )
        self._width = 3 * (char_order + word_order)
        self._last: tuple[str, tuple[str, ...], tuple[float, ...]] | None = None

    def _counts(self, text: str, references: tuple[str, ...]) -> tuple[float, ...]:
        if self._last is None or self._last[:2] != (text, references):
            found = self._chrf._extract_corpus_statistics([text], [[each] for each in references])[0]
            self._last = (text, references, tuple(map(float, found)))
        return self._last[2]

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return `chrf_sentence`, or nothing for a sample without references."""
        if not sample.references:
            return {}
        return {"chrf_sentence": self.corpus(self._counts(output.text, sample.references))["chrf"]}

    def sums(self, sample: Sample, output: Output) -> tuple[float, ...]:
        """Return n-grams said, wanted and matched, of each order."""
        if not sample.references:
            return (0.0,) * self._width
        return self._counts(output.text, sample.references)

    def corpus(self, sums: Sequence[float]) -> dict[str, float]:
        """Return `chrf` of the added-up counts."""
        return {"chrf": float(self._chrf._aggregate_and_compute([list(sums)]).score)}

    def measure(self, metric: str) -> Measure | None:
        """Return a corpus metric for `chrf`, a mean for `chrf_sentence`."""
        if metric not in ("chrf", "chrf_sentence"):
            return None
        return Measure(kind=MetricKind.CORPUS if metric == "chrf" else MetricKind.MEAN, unit="points")

    def signature(self, references: int) -> str:
        """Return sacrebleu's signature for samples of so many references each; -1 when their number varies."""
        self._chrf.num_refs = references
        return str(self._chrf.get_signature())
