"""What is asked of the full-text index, in the language of either engine.

An option is a sequence of (word as indexed, whether it may go on). Words consist of letters and digits alone, so that
nothing in them can be an operator.
"""

from collections.abc import Sequence
from typing import TypeAlias

Options: TypeAlias = Sequence[Sequence[tuple[str, bool]]]


def fts5(options: Options) -> str:
    """Return what SQLite's `MATCH` takes: all words of one of the options."""
    return " OR ".join(
        "(" + " AND ".join(f'"{word}"' + ("*" if prefix else "") for word, prefix in words) + ")"
        for words in options
    )


def tsquery(options: Options) -> str:
    """Return what PostgreSQL's `to_tsquery` takes: all words of one of the options."""
    return " | ".join(
        "(" + " & ".join(f"'{word}'" + (":*" if prefix else "") for word, prefix in words) + ")"
        for words in options
    )
