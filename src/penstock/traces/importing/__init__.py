"""Imports: what other programs export, read row by row into spans."""
