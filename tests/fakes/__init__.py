"""Scripted servers that stand in for model providers, faithful to the wire."""
