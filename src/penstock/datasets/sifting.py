"""Steps that judge text: its language, its quality, and the lines that stand in many rows."""

import hashlib
from collections import Counter

import numpy as np

from penstock.datasets import language, quality, steps, web_rules
from penstock.datasets.model import Row
from penstock.datasets.spool import Spool
from penstock.datasets.tally import Numbered, Tally
from penstock.datasets.text import map_row, strings, text_of

_CELLS = 1 << 20
_HASHES = 4


def keep_languages(step: steps.KeepLanguages, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step."""
    kept = {*step.keep, language.UNDETERMINED} if step.keep_undetermined else set(step.keep)
    for number, row in rows:
        text = text_of(row, step.columns)
        code = language.detect(text).code
        if code in kept:
            yield number, row
        else:
            tally.drop(number, code, text)


def keep_quality(step: steps.Quality, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step."""
    bounds = quality.Bounds(
        min_characters=step.min_characters,
        max_characters=step.max_characters,
        min_words=step.min_words,
        max_symbol_share=step.max_symbol_share,
        max_repeated_share=step.max_repeated_share,
    )
    for number, row in rows:
        text = text_of(row, step.columns)
        reason = quality.complaint(text, bounds)
        if reason is None:
            yield number, row
        else:
            tally.drop(number, reason, text)


def gopher(step: steps.Gopher, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step."""
    for number, row in rows:
        text = text_of(row, step.columns)
        reason = web_rules.gopher_complaint(
            text, min_words=step.min_words, max_words=step.max_words, stop_words=step.stop_words
        )
        if reason is None and step.repetition:
            reason = web_rules.repetition_complaint(text)
        if reason is None:
            yield number, row
        else:
            tally.drop(number, reason, text)


def c4(step: steps.C4, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step: lines go first, then whole rows by what is left of them."""

    def clean(text: str) -> str:
        cleaned, removed = web_rules.c4_lines(
            text, min_words=step.min_line_words, terminal_punctuation=step.terminal_punctuation
        )
        tally.counts.update(removed)
        return cleaned

    for number, row in rows:
        changed = map_row(row, step.columns, clean)
        page = text_of(row, step.columns)
        reason = web_rules.c4_complaint(
            page, text_of(changed, step.columns), min_sentences=step.min_sentences
        )
        if reason is not None:
            tally.drop(number, reason, page)
            continue
        if changed != row:
            tally.change(number, row, changed)
        yield number, changed


class _Sketch:
    """Upper bounds of how often keys were added, in 16 MB however many there are (Count-Min, Cormode 2005)."""

    def __init__(self) -> None:
        self._cells = np.zeros((_HASHES, _CELLS), np.uint32)

    @staticmethod
    def _places(key: bytes) -> list[int]:
        return [
            int.from_bytes(key[begin : begin + 4], "little") % _CELLS for begin in range(0, 4 * _HASHES, 4)
        ]

    def add(self, key: bytes) -> None:
        for line, place in enumerate(self._places(key)):
            self._cells[line, place] += 1

    def most(self, key: bytes) -> int:
        return int(min(self._cells[line, place] for line, place in enumerate(self._places(key))))


def _line_keys(row: Row, step: steps.Boilerplate) -> set[bytes]:
    """Return the names of the row's lines, each once."""
    values = [row.get(name) for name in step.columns] if step.columns else list(row.values())
    lines = (line.strip() for value in values for text in strings(value) for line in text.split("\n"))
    return {_key(line) for line in lines if len(line) >= step.min_characters}


def _key(line: str) -> bytes:
    return hashlib.blake2b(line.encode(errors="replace"), digest_size=16).digest()


def boilerplate(step: steps.Boilerplate, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step in three passes: bounds for all lines, counts of the likely ones, removal."""
    sketch, counts = _Sketch(), Counter[bytes]()
    with Spool(tally.file.parent, tally.file.name) as spool:
        for number, row in rows:
            spool.append(number, row)
            for key in _line_keys(row, step):
                sketch.add(key)
        least = max(step.min_rows, step.min_share * spool.count)
        for _, row in spool:
            counts.update(key for key in _line_keys(row, step) if sketch.most(key) >= least)
        common = {key for key, count in counts.items() if count >= least}
        yield from _without_lines(step, spool, tally, common)


def _without_lines(step: steps.Boilerplate, spool: Spool, tally: Tally, common: set[bytes]) -> Numbered:
    def clean(text: str) -> str:
        lines = text.split("\n")
        kept = [
            line
            for line in lines
            if len(line.strip()) < step.min_characters or _key(line.strip()) not in common
        ]
        tally.counts["lines"] += len(lines) - len(kept)
        return "\n".join(kept) if len(kept) < len(lines) else text

    for number, row in spool:
        changed = map_row(row, step.columns, clean)
        if changed != row:
            if not text_of(changed, step.columns).strip():
                tally.drop(number, "only_boilerplate", text_of(row, step.columns))
                continue
            tally.change(number, row, changed)
        yield number, changed
