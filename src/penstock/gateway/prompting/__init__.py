"""Managed prompts in requests: `"prompt": {"name": …, "label": …, "variables": {…}}` is filled in on the way."""
