"""How releases divide calls between their arms, and what became of those calls, as stored."""
