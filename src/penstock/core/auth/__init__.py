"""Keys, people and sign-in: who may come in."""
