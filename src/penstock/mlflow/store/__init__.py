"""The SQL of what only MLflow's clients say."""
