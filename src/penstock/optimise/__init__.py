"""Smaller and faster variants of a registered model, each measured and held against its parent."""
