"""Running the steps that label rows and write new ones."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np

from penstock.core.errors import Invalid
from penstock.datasets import label_steps as steps
from penstock.datasets import votes
from penstock.datasets.asking import WORKERS, Asker
from penstock.datasets.model import Row
from penstock.datasets.spool import Spool
from penstock.datasets.tally import Numbered, Tally
from penstock.datasets.text import text_of

MOST_LABELS = 100
_TEXT = 6000
_DIGITS = 4
_QUOTES = " \t\r\n\"'`.*"
_Item = TypeVar("_Item")


def by_words(step: steps.LabelByWords, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step."""
    patterns = {
        label: re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE)
        for label, words in step.words.items()
        if words
    }
    for number, row in rows:
        text = text_of(row, step.columns)
        found = Counter({label: len(pattern.findall(text)) for label, pattern in patterns.items()})
        first, second = [*found.most_common(2), ("", 0), ("", 0)][:2]
        label = first[0] if first[1] > second[1] else None
        tally.counts[label or "no_label"] += 1
        labelled = {**row, step.into: label}
        if label is not None:
            tally.change(number, row, labelled)
        yield number, labelled


def _groups(items: Iterator[_Item], size: int) -> Iterator[list[_Item]]:
    group: list[_Item] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def by_model(step: steps.LabelByModel, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step, a few rows at once."""
    known = {label.casefold(): label for label in step.labels}
    system = f"{step.instruction}\nAnswer with exactly one of these labels and nothing else: {', '.join(step.labels)}."
    with Asker(step, tally.means.model(), tally.means.replies) as asker:
        for group in _groups(rows, WORKERS * 4):
            texts = [text_of(row, step.columns)[:_TEXT] for _, row in group]
            asked = [(system, text, sample) for text in texts for sample in range(step.samples)]
            answers = asker.all(asked)
            for place, (number, row) in enumerate(group):
                given = answers[place * step.samples : (place + 1) * step.samples]
                label, confidence = _agreed(given, known, tally)
                labelled = {**row, step.into: label, f"{step.into}_confidence": confidence}
                if label is not None:
                    tally.change(number, row, labelled)
                yield number, labelled
            tally.figures.update(asker.figures())


def _agreed(
    answers: Sequence[str | None], known: dict[str, str], tally: Tally
) -> tuple[str | None, float | None]:
    """Return the commonest label among the answers and its share of them; nulls without one."""
    asked = [answer for answer in answers if answer is not None]
    if not asked:
        tally.counts["not_asked"] += 1
        return None, None
    labels = Counter(label for answer in asked if (label := known.get(answer.strip(_QUOTES).casefold())))
    if not labels:
        tally.counts["no_label"] += 1
        return None, None
    label, count = labels.most_common(1)[0]
    tally.counts[label] += 1
    return label, round(count / len(asked), _DIGITS)


def vote(step: steps.Vote, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step; the rows wait in a file."""
    with Spool(tally.file.parent, tally.file.name) as spool:
        names, cast = _cast(step, rows, spool)
        verdict = votes.majority(cast) if step.method == "majority" else votes.dawid_skene(cast)
        agreement = votes.alpha(cast)
        tally.figures["alpha"] = None if agreement is None else round(agreement, _DIGITS)
        tally.figures["labelers"] = {
            column: {
                "votes": int((cast.labeler == place).sum()),
                "accuracy": round(float(verdict.accuracy[place]), _DIGITS),
            }
            for place, column in enumerate(step.columns)
        }
        for place, (number, row) in enumerate(spool):
            shares = verdict.probabilities[place]
            best = int(np.argmax(shares)) if len(names) else 0
            confidence = float(shares[best]) if len(names) else 0.0
            sure = confidence > 0 and confidence >= step.min_confidence
            if not sure and step.below == "drop":
                tally.drop(number, "unsure", text_of(row, ()))
                continue
            label = names[best] if sure else None
            tally.counts[str(label) if sure else "no_label"] += 1
            decided = {
                **row,
                step.into: label,
                f"{step.into}_confidence": round(confidence, _DIGITS),
            }
            tally.change(number, row, decided)
            yield number, decided


def _cast(step: steps.Vote, rows: Numbered, spool: Spool) -> tuple[list[Any], votes.Votes]:
    """Put the rows into `spool`; returns the labels and the votes on them. Raises Invalid beyond 100 labels."""
    places: dict[str, int] = {}
    names: list[Any] = []
    items, labelers, labels = [], [], []
    for number, row in rows:
        for labeler, column in enumerate(step.columns):
            value = row.get(column)
            if value is None or value == "":
                continue
            key = msgspec.json.encode(value).decode()
            if key not in places:
                places[key] = len(names)
                names.append(value)
                if len(names) > MOST_LABELS:
                    raise Invalid(
                        f"vote met more than {MOST_LABELS} labels.", hint="Are its columns labels at all?"
                    )
            items.append(spool.count)
            labelers.append(labeler)
            labels.append(places[key])
        spool.append(number, row)
    return names, votes.Votes(
        np.array(items, np.int64),
        np.array(labelers, np.int64),
        np.array(labels, np.int64),
        spool.count,
        len(step.columns),
        len(names),
    )


def synthesise(step: steps.Synthesise, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step: the rows come first, then the new ones, each with its seed's line and so its split."""
    system = (
        f"{step.instruction}\nAnswer with a JSON array of {step.per_seed} new objects"
        f" with the keys {', '.join(step.columns)}, and nothing else. Do not repeat the example."
    )
    with Spool(tally.file.parent, tally.file.name) as spool:
        for number, row in rows:
            spool.append(number, row)
            yield number, {**row, step.mark: False}
        every = max(1, -(-spool.count // step.rows))
        seeds = (item for place, item in enumerate(spool) if place % every == 0)
        with Asker(step, tally.means.model(), tally.means.replies) as asker:
            for group in _groups(seeds, WORKERS * 4):
                shown = [{name: row.get(name) for name in step.columns} for _, row in group]
                asked = [(system, msgspec.json.encode(seed).decode()[:_TEXT], 0) for seed in shown]
                for (number, _), seed, answer in zip(group, shown, asker.all(asked), strict=True):
                    for new in _written(answer, seed, step, tally.counts.update):
                        tally.example(line=number, seed=seed, after=new)
                        yield number, {**new, step.mark: True}
                tally.figures.update(asker.figures())


def _written(
    answer: str | None, seed: Row, step: steps.Synthesise, count: Callable[[list[str]], None]
) -> Iterator[Row]:
    """Yield the usable rows of an answer; others are counted by what is wrong with them."""
    if answer is None:
        count(["not_asked"])
        return
    begin, end = answer.find("["), answer.rfind("]")
    try:
        found = msgspec.json.decode(answer[begin : end + 1].encode()) if 0 <= begin < end else None
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, list):
        count(["no_json"])
        return
    for row in found[: step.per_seed]:
        if not isinstance(row, dict) or any(type(row.get(name)) is not type(seed[name]) for name in seed):
            count(["wrong_columns"])
        elif {name: row[name] for name in step.columns} == seed:
            count(["repeats_seed"])
        else:
            count(["written"])
            yield {name: row[name] for name in step.columns}
