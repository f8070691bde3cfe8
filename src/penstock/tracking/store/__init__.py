"""The SQL of tracking.

Parameters, tags, metrics and artifacts stand in tables of their own, keyed by their owner: an experiment, a run or a
logged model, which was loaded under a scope. `tracking_latest` holds the last value of each metric, so that lists
and searches never read histories.
"""
