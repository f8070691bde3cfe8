"""Feedback: what people thought of answers, and the training data that comes of it."""
