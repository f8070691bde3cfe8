"""Steps that look for the same text twice: exact, near and close in meaning, or in an evaluation set."""

from array import array

from penstock.datasets import semantic as alike
from penstock.datasets import steps
from penstock.datasets.contamination import Protected
from penstock.datasets.dedup import NearIndex, digest
from penstock.datasets.model import Row
from penstock.datasets.spool import Spool, canonical
from penstock.datasets.tally import Numbered, Tally
from penstock.datasets.text import map_row, strings, text_of


def exact(step: steps.ExactDuplicates, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step."""
    seen: dict[bytes, int] = {}
    for number, row in rows:
        compared = {name: row.get(name) for name in step.columns} if step.columns else row
        if step.ignore_case:
            compared = map_row(compared, (), str.casefold)
        name = digest(canonical(compared))
        first = seen.get(name)
        if first is None:
            seen[name] = number
            yield number, row
        else:
            tally.drop(number, "duplicate", text_of(row, step.columns), kept_line=first)


def near(step: steps.NearDuplicates, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step; the rows wait in a file."""
    index, numbers = NearIndex(threshold=step.threshold), array("q")
    with Spool(tally.file.parent, tally.file.name) as spool:
        for number, row in rows:
            index.add(text_of(row, step.columns))
            numbers.append(number)
            spool.append(number, row)
        removed = {found.removed: found for found in index.duplicates()}
        for position, (number, row) in enumerate(spool):
            found = removed.get(position)
            if found is None:
                yield number, row
                continue
            kept = numbers[found.kept]
            text = text_of(row, step.columns)
            tally.drop(number, "near_duplicate", text, kept_line=kept, similarity=found.similarity)


def semantic(step: steps.SemanticDuplicates, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step; rows and vectors wait in files."""
    embedder, numbers = tally.means.embedder(), array("q")
    tally.engine = embedder.name
    vectors = tally.file.with_name(f"{tally.file.name}.vectors")
    try:
        with Spool(tally.file.parent, tally.file.name) as spool:
            for number, row in rows:
                numbers.append(number)
                spool.append(number, row)
            count = alike.embedded((text_of(row, step.columns) for _, row in spool), embedder, vectors)
            found = alike.duplicates(vectors, count, embedder.dimensions, threshold=step.threshold)
            following = next(found, None)
            for position, (number, row) in enumerate(spool):
                if following is None or following.removed != position:
                    yield number, row
                    continue
                kept, similarity = numbers[following.kept], following.similarity
                text = text_of(row, step.columns)
                tally.drop(number, "semantic_duplicate", text, kept_line=kept, similarity=similarity)
                following = next(found, None)
    finally:
        vectors.unlink(missing_ok=True)


def decontaminate(step: steps.Decontaminate, rows: Numbered, tally: Tally) -> Numbered:
    """Run the step."""
    protected = Protected(step.n)
    for source, ref in enumerate(step.against):
        for place, row in enumerate(tally.means.reference(ref), start=1):
            protected.add(_protected_texts(row, step), source=source, row=place)
    protected.finish()
    if protected.too_short:
        tally.counts["protected_texts_too_short"] = protected.too_short
    for number, row in rows:
        found = protected.match(text_of(row, step.columns))
        if found is None or found.grams < step.min_matches:
            yield number, row
            continue
        ref = step.against[found.source]
        if step.action == "drop":
            reason = f"contaminated: {ref}"
            tally.drop(number, reason, found.text, kept_line=found.row, similarity=found.share)
            continue
        tally.counts[f"flagged: {ref}"] += 1
        flagged = {**row, "contaminated": ref}
        tally.change(number, row, flagged)
        yield number, flagged


def _protected_texts(row: Row, step: steps.Decontaminate) -> list[str]:
    """Return the texts of an evaluation row, each of its own: n-grams do not run from one into the next."""
    values = [row.get(name) for name in step.against_columns] if step.against_columns else list(row.values())
    return [text for value in values for text in strings(value)]
