"""A classifier in JAX with Flax (nnx) and optax, tracked by Penstock's SDK.

PENSTOCK_URL and PENSTOCK_API_KEY say where the server is: pip install jax flax optax, then python jax_flax.py
"""

import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import penstock

STEPS, RATE, WIDTH = 60, 0.05, 16

client = penstock.Client()

# Two rings: no straight line parts them. The rows are a version in Penstock, which the run names.
numbers = np.random.default_rng(0)
angles, labels = numbers.uniform(0, 2 * np.pi, 256), numbers.integers(0, 2, 256)
radii = 1 + labels + numbers.normal(0, 0.1, 256)
ring = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
version = client.datasets.upload(
    "rings", [{"x": x, "y": y, "label": int(label)} for (x, y), label in zip(ring, labels, strict=True)]
)["version"]
stored = [row["data"] for row in client.datasets.rows("rings", version["number"])]
inputs = jnp.array([[row["x"], row["y"]] for row in stored])
wanted = jnp.array([row["label"] for row in stored])


class Classifier(nnx.Module):
    """Two layers."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.inner = nnx.Linear(2, WIDTH, rngs=rngs)
        self.outer = nnx.Linear(WIDTH, 2, rngs=rngs)

    def __call__(self, points: jax.Array) -> jax.Array:
        return self.outer(nnx.tanh(self.inner(points)))


def loss_of(model: Classifier) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(model(inputs), wanted).mean()


@nnx.jit
def train(model: Classifier, optimizer: nnx.Optimizer) -> jax.Array:
    loss, slope = nnx.value_and_grad(loss_of)(model)
    optimizer.update(model, slope)
    return loss


model = Classifier(nnx.Rngs(0))
optimizer = nnx.Optimizer(model, optax.adam(RATE), wrt=nnx.Param)
params = {"rate": RATE, "steps": STEPS, "width": WIDTH}
with client.runs.start("classification", name="flax", params=params) as run:
    run.dataset(version["ref"])
    for step in range(STEPS):
        loss = train(model, optimizer)
        accuracy = jnp.mean(jnp.argmax(model(inputs), axis=1) == wanted)
        run.log(step, loss=float(loss), accuracy=float(accuracy))
    run.text(nnx.tabulate(model, inputs[:1]), "layers.txt")
    weights = {
        "/".join(map(str, path)): np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(nnx.state(model))
    }
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "weights.npz", **weights)
        registered = run.model(folder, "rings-flax")
print(registered)
print(run.id)
