"""Datasets: files and rows in, curated and immutable versions out."""
