"""Versioned prompts: write once, point labels at versions, render anywhere."""
