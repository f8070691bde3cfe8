"""A Keras model, tracked by Penstock's SDK through a callback; the same on TensorFlow, JAX and PyTorch.

PENSTOCK_URL and PENSTOCK_API_KEY say where the server is: KERAS_BACKEND=tensorflow python keras_callback.py
"""

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

import penstock

EPOCHS = 30

client = penstock.Client()
numbers = np.random.default_rng(0)
given = numbers.normal(size=(256, 3))
version = client.datasets.upload(
    "sides", [{"x": point.tolist(), "side": int(point @ [2.0, -1.0, 0.5] > 0)} for point in given]
)["version"]
stored = [row["data"] for row in client.datasets.rows("sides", version["number"])]
inputs = np.array([row["x"] for row in stored], "float32")
labels = np.array([row["side"] for row in stored], "float32")


class Tracked(keras.callbacks.Callback):
    """Sends what Keras measured at the end of every epoch."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run = run

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.run.log(epoch, **{name: float(value) for name, value in (logs or {}).items()})


keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")])
model.compile(optimizer=keras.optimizers.Adam(0.05), loss="binary_crossentropy", metrics=["accuracy"])
params = {"steps": EPOCHS, "backend": keras.backend.backend()}
with client.runs.start("classification", name="keras", params=params) as run:
    run.dataset(version["ref"])
    model.fit(inputs, labels, epochs=EPOCHS, batch_size=64, verbose=0, callbacks=[Tracked(run)])
    run.text(model.to_json(indent=1), "architecture.json")
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        registered = run.model(folder, "sides-keras")
print(registered)
print(run.id)
