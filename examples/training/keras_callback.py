"""A Keras model, tracked by Penstock's SDK through a callback; the same on the TensorFlow, JAX and PyTorch backends.

PENSTOCK_URL and PENSTOCK_API_KEY say where the server is: KERAS_BACKEND=jax python keras_callback.py
"""

from typing import Any

import keras
import numpy as np

import penstock

EPOCHS = 30

numbers = np.random.default_rng(0)
inputs = numbers.normal(size=(256, 3)).astype("float32")
labels = (inputs @ np.array([2.0, -1.0, 0.5]) > 0).astype("float32")


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
client = penstock.Client()
with client.runs.start("classification", name="keras", params={"steps": EPOCHS}) as run:
    model.fit(inputs, labels, epochs=EPOCHS, batch_size=64, verbose=0, callbacks=[Tracked(run)])
print(run.id)
