"""Rate limits and budgets: reserved before a call, settled after it, held across processes and replicas."""
