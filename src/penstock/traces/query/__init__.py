"""The query language of traces: text to a typed, frozen tree and back; it knows no database.

`parse` reads a query, `str` of a node prints it in its canonical form, `of_filters` makes the same tree of
single filters. The grammar, loosest first::

    query  = any
    any    = all ("OR" all)*
    all    = one ("AND"? one)*
    one    = ("-" | "NOT") one | "(" any ")" | word | field op value
    op     = ":" | "=" | "!=" | ">" | ">=" | "<" | "<="
    value  = chunk+ | "(" value ("OR" value)* ")"
    chunk  = quoted text | bare text, in which * stands for anything
"""

from penstock.traces.query.filters import of_filters
from penstock.traces.query.nodes import Node
from penstock.traces.query.parser import parse

__all__ = ["Node", "of_filters", "parse"]
