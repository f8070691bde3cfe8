"""Answers given again: exactly the same request, or one that means the same."""
