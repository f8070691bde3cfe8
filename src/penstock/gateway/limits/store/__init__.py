"""SQL of limits: `rules` (what is allowed) and `ledger` (what is spent and leased)."""
