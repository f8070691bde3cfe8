"""The SQL of traces.

Narrow rows (`traces_spans`) hold what lists and sums need, `traces_bodies` the compressed rest. `traces_traces` has
one summary per trace, kept exact in the transaction that writes its spans. `traces_facets` is the key/value side
table: one entry per trace and value, in the order lists are shown, so that a filter is one index range.
`traces_sums` are roll-ups filled in the background up to a mark; sums read them plus the rows above the mark, in one
statement, and are exact at any moment.
"""
