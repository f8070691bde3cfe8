"""Gradient descent in JAX, tracked by Penstock's SDK.

PENSTOCK_URL and PENSTOCK_API_KEY say where the server is: python jax_grad.py
"""

import jax
import jax.numpy as jnp

import penstock

STEPS, RATE = 60, 0.1

inputs = jax.random.normal(jax.random.key(0), (256, 4))
wanted = inputs @ jnp.array([1.0, -2.0, 0.5, 3.0])


@jax.jit
def loss_and_slope(weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jax.value_and_grad(lambda at: jnp.mean((inputs @ at - wanted) ** 2))(weights)


client = penstock.Client()
weights = jnp.zeros(4)
with client.runs.start("regression", name="jax", params={"rate": RATE, "steps": STEPS}) as run:
    for step in range(STEPS):
        loss, slope = loss_and_slope(weights)
        weights = weights - RATE * slope
        run.log(step, loss=float(loss))
print(run.id)
