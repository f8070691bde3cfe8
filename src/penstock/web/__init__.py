"""The web UI: serving what `frontend/` was built into."""
