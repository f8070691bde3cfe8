"""Training's share of the machine: what runs claim of it, and who has to wait or give way."""
