"""The web's own parts: sign-in, keys, jobs, records, health, and the built UI's files."""
