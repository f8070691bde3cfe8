"""Steps that change the text of rows and keep them all: Unicode form, wrong decoding, HTML, personal data."""

import importlib
import importlib.util
import re
import unicodedata

from penstock.core.errors import MissingExtra
from penstock.core.pii import Detector
from penstock.datasets import markup, steps
from penstock.datasets.redaction import Redactor
from penstock.datasets.tally import Numbered, Tally, changing
from penstock.datasets.text import map_row

_RUN = re.compile(r"\s+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\u200b]")


def normalise(step: steps.Normalise, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step."""

    def clean(text: str) -> str:
        if not text.isascii():
            text = unicodedata.normalize(step.form, text)
        text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
        if step.whitespace == "collapse":
            text = _RUN.sub(" ", text)
        return text if step.whitespace == "keep" else text.strip()

    return changing(rows, tally, lambda row: map_row(row, step.columns, clean))


def repair(step: steps.Repair, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step; raises MissingExtra at once without ftfy."""
    if importlib.util.find_spec("ftfy") is None:
        raise MissingExtra("clean", "The step repair")
    # The one optional library of this slice; importing it costs every process 20 ms that rarely needs it.
    ftfy = importlib.import_module("ftfy")
    config = ftfy.TextFixerConfig(uncurl_quotes=step.straight_quotes)
    tally.engine = f"ftfy {ftfy.__version__}"

    def mend(text: str) -> str:
        mended: str = ftfy.fix_text(text, config)
        return mended

    return changing(rows, tally, lambda row: map_row(row, step.columns, mend))


def strip_html(step: steps.StripHtml, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step."""
    return changing(
        rows,
        tally,
        lambda row: map_row(row, step.columns, lambda text: markup.text_from(text, links=step.links)),
    )


def redact(step: steps.Redact, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step; raises Invalid at once when hashes or surrogates are asked for and there is no key."""
    redactor = Redactor(Detector(step.kinds or None), step.mode, tally.means.key)

    def replace(text: str) -> str:
        replaced, counts = redactor.redact(text)
        tally.counts.update(counts)
        return replaced

    return changing(rows, tally, lambda row: map_row(row, step.columns, replace))
