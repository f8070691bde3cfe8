"""Logistic regression in numpy, tracked through MLflow's own client.

MLFLOW_TRACKING_URI is the server's address with /mlflow behind it, MLFLOW_TRACKING_TOKEN a key. Keras, Lightning,
Transformers and others log by MLflow's callbacks in the same way: python mlflow_numpy.py
"""

import numpy as np

import mlflow

STEPS, RATE = 40, 0.5

numbers = np.random.default_rng(0)
inputs = numbers.normal(size=(200, 3))
labels = (inputs @ np.array([2.0, -1.0, 0.5]) > 0).astype(float)
weights = np.zeros(3)

mlflow.set_experiment("classification")
with mlflow.start_run(run_name="numpy") as run:
    mlflow.log_params({"rate": RATE, "steps": STEPS})
    for step in range(STEPS):
        chance = 1 / (1 + np.exp(-inputs @ weights))
        loss = -np.mean(labels * np.log(chance + 1e-9) + (1 - labels) * np.log(1 - chance + 1e-9))
        weights -= RATE * inputs.T @ (chance - labels) / len(labels)
        mlflow.log_metric("loss", float(loss), step=step)
    mlflow.log_text(" ".join(f"{weight:.4f}" for weight in weights), "weights.txt")
print(run.info.run_id)
