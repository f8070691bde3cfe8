"""Running code that a model wrote, shut in as well as the platform can."""
