"""Searching for a better prompt: few-shot examples, rewritten instructions, a race, and a front of quality and cost."""
