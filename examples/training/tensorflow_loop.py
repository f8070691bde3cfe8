"""A training loop in TensorFlow alone (GradientTape), tracked by Penstock's SDK; the model is a SavedModel.

PENSTOCK_URL and PENSTOCK_API_KEY say where the server is: pip install tensorflow-cpu, then python tensorflow_loop.py
"""

import json
import tempfile

import numpy as np
import tensorflow as tf

import penstock

STEPS, RATE = 60, 0.1
SLOPE = np.array([1.0, -2.0, 0.5, 3.0])

client = penstock.Client()
numbers = np.random.default_rng(0)
given = numbers.normal(size=(256, 4))
rows = [{"x": point.tolist(), "y": float(point @ SLOPE + numbers.normal(0, 0.1))} for point in given]
version = client.datasets.upload("line", rows)["version"]
stored = [row["data"] for row in client.datasets.rows("line", version["number"])]
inputs = tf.constant([row["x"] for row in stored], tf.float32)
wanted = tf.constant([row["y"] for row in stored], tf.float32)


class Line(tf.Module):
    """A slope for each of four inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = tf.Variable(tf.zeros(4))

    @tf.function(input_signature=[tf.TensorSpec([None, 4])])
    def __call__(self, points: tf.Tensor) -> tf.Tensor:
        return tf.linalg.matvec(points, self.slope)


model = Line()
with client.runs.start("regression", name="tensorflow", params={"rate": RATE, "steps": STEPS}) as run:
    run.dataset(version["ref"])
    for step in range(STEPS):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(inputs) - wanted) ** 2)
        (slope,) = tape.gradient(loss, [model.slope])
        model.slope.assign_sub(RATE * slope)
        run.log(step, loss=float(loss), grad_norm=float(tf.norm(slope)))
    run.text(json.dumps({"found": model.slope.numpy().tolist(), "wanted": SLOPE.tolist()}), "slope.json")
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(model, folder)
        registered = run.model(folder, "line-tensorflow")
print(registered)
print(run.id)
