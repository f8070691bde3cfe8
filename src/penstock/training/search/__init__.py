"""Hyper-parameter search: many runs of one recipe, chosen by a searcher."""
