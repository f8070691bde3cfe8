"""How a caller's request is carried to a provider of the same or another API family."""
