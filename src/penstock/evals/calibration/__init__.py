"""How far judges agree with people, and what follows from it."""
