"""Steps that change which columns and rows there are: choose, rename, relabel, query, call, weigh, repeat."""

import hashlib
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.datasets import query, steps
from penstock.datasets.model import Row
from penstock.datasets.schema import SchemaBuilder
from penstock.datasets.spool import Spool
from penstock.datasets.swaps import Swapper
from penstock.datasets.tally import Numbered, Tally
from penstock.datasets.text import map_row

_MOST_VALUES = 100_000
_DIGITS = 6


def select(step: steps.Select, rows: Numbered, _tally: Tally) -> Numbered:
    """Run the step."""
    for number, row in rows:
        yield number, {name: row[name] for name in step.columns if name in row}


def drop(step: steps.Drop, rows: Numbered, _tally: Tally) -> Numbered:
    """Run the step."""
    for number, row in rows:
        yield number, {name: value for name, value in row.items() if name not in step.columns}


def rename(step: steps.Rename, rows: Numbered, _tally: Tally) -> Numbered:
    """Run the step."""
    for number, row in rows:
        yield number, {step.names.get(name, name): value for name, value in row.items()}


def map_labels(step: steps.MapLabels, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step; raises Invalid for an unknown label that is to fail."""
    for number, row in rows:
        label = row.get(step.column)
        new = step.labels.get(label) if isinstance(label, str) else None
        if new is not None:
            tally.counts[f"{label} → {new}"] += label != new
            changed = {**row, step.column: new}
            if changed != row:
                tally.change(number, row, changed)
            yield number, changed
        elif step.unknown == "keep":
            yield number, row
        elif step.unknown == "drop":
            tally.drop(number, "unknown_label", str(label))
        else:
            raise Invalid(
                f"Line {number}: map_labels has no entry for {label!r} in the column {step.column!r}.",
                hint="Add it, or set unknown to keep or drop.",
            )


def sql(step: steps.Sql, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step; the rows wait in a table."""
    schema = SchemaBuilder()
    folder = tally.file.with_name(f"{tally.file.name}-table")
    try:
        with Spool(tally.file.parent, tally.file.name) as spool:
            for number, row in rows:
                schema.observe(row)
                spool.append(number, row)
            yield from query.run(step.query, spool, schema.columns(), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def python(step: steps.Python, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step; raises Invalid without the function, or when its source is another than the recipe's."""
    function = tally.means.functions.get(step.function)
    if function is None:
        raise Invalid(
            f"The recipe calls the Python function {step.function!r}, which is not at hand.",
            hint="The server runs no code of yours: penstock datasets clean --code FILE.py runs it where you are.",
        )
    if step.sha256 and step.sha256 != function.sha256:
        raise Invalid(
            f"The source of {step.function!r} is not the one that the recipe recorded.",
            hint=f"Recorded {step.sha256[:12]}…, at hand {function.sha256[:12]}….",
        )
    tally.engine = f"python source sha256:{function.sha256}"
    for number, row in rows:
        answer = function.call(dict(row))
        if step.does == "filter":
            if answer:
                yield number, row
            else:
                tally.drop(number, "filtered", _shown(row))
            continue
        made = _made(answer, step.function, number)
        if not made:
            tally.drop(number, "filtered", _shown(row))
        for new in made:
            if new != row:
                tally.change(number, row, new)
            yield number, new


def _made(answer: Any, name: str, number: int) -> list[Row]:
    rows = [] if answer is None else answer if isinstance(answer, list) else [answer]
    for row in rows:
        if not isinstance(row, Mapping):
            raise Invalid(
                f"Line {number}: {name} returned {type(row).__name__}.",
                hint="Return the row, None or a list of rows.",
            )
    return [dict(row) for row in rows]


def _shown(row: Row) -> str:
    return msgspec.json.encode(row).decode()


def _value(row: Row, column: str) -> str:
    value = row.get(column)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _count(counts: Counter[Any], value: Any, step: str) -> None:
    counts[value] += 1
    if len(counts) > _MOST_VALUES:
        raise Invalid(f"{step} met more than {_MOST_VALUES:,} values.", hint="Choose a column of few values.")


def reweigh(step: steps.Reweigh, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step; the rows wait in a file."""
    groups, labels, both = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    with Spool(tally.file.parent, tally.file.name) as spool:
        for number, row in rows:
            spool.append(number, row)
            group, label = _value(row, step.group), _value(row, step.label)
            groups[group] += 1
            labels[label] += 1
            _count(both, (group, label), "reweigh")
        for number, row in spool:
            group, label = _value(row, step.group), _value(row, step.label)
            weight = groups[group] * labels[label] / (spool.count * both[group, label])
            weighed = {**row, step.into: round(weight, _DIGITS)}
            tally.change(number, row, weighed)
            yield number, weighed


def balance(step: steps.Balance, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step; the rows wait in a file. Which rows go or come twice is decided by `seed` alone."""
    counts: Counter[str] = Counter()
    with Spool(tally.file.parent, tally.file.name) as spool:
        for number, row in rows:
            spool.append(number, row)
            _count(counts, _value(row, step.column), "balance")
        if not counts:
            return
        if step.how == "drop":
            least = min(counts.values())
            wanted = {value: min(count, int(least * step.most)) for value, count in counts.items()}
        else:
            wanted = dict.fromkeys(counts, max(counts.values()))
        pickers = {value: _picks(counts[value], wanted[value], step.seed, value) for value in counts}
        for number, row in spool:
            copies = next(pickers[_value(row, step.column)])
            if not copies:
                tally.drop(number, "too_many", _shown(row))
            tally.counts["repeated"] += max(0, copies - 1)
            for _ in range(copies):
                yield number, row


def _picks(count: int, wanted: int, seed: int, value: str) -> Iterator[int]:
    """Yield how often to use each of `count` rows, `wanted` times in all (selection sampling, Knuth 3.4.2 S)."""
    named = hashlib.blake2b(
        value.encode(errors="replace"), digest_size=8, key=seed.to_bytes(8, "big", signed=True)
    )
    chance = random.Random(named.digest())
    whole, rest = divmod(wanted, count)
    for left in range(count, 0, -1):
        picked = chance.random() * left < rest
        rest -= picked
        yield whole + picked


def swap(step: steps.Swap, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step."""
    swapper = Swapper(step.lists, step.pairs)
    for number, row in rows:
        swapped = map_row(row, step.columns, swapper.swap)
        if swapped == row:
            yield number, row
            continue
        if not step.replace:
            yield number, row
        tally.counts["swapped"] += 1
        tally.change(number, row, swapped)
        yield number, swapped
