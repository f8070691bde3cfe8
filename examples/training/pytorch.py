"""A training loop in plain PyTorch, tracked by Penstock's SDK: parameters, curves, data, a file, and the model.

PENSTOCK_URL and PENSTOCK_API_KEY say where the server is: python pytorch.py
"""

import json
import tempfile
from pathlib import Path

import torch

import penstock

STEPS, RATE = 60, 0.1
SLOPE = torch.tensor([1.0, -2.0, 0.5, 3.0])

client = penstock.Client()

# The data is a version in Penstock: the run says which, and anybody can get the same rows again.
torch.manual_seed(0)
points = torch.randn(256, 4)
noisy = points @ SLOPE + 0.1 * torch.randn(256)
rows = [{"x": point, "y": value} for point, value in zip(points.tolist(), noisy.tolist(), strict=True)]
version = client.datasets.upload("line", rows)["version"]
stored = [row["data"] for row in client.datasets.rows("line", version["number"])]
inputs = torch.tensor([row["x"] for row in stored])
wanted = torch.tensor([row["y"] for row in stored])

model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
with client.runs.start("regression", name="pytorch", params={"rate": RATE, "steps": STEPS}) as run:
    run.dataset(version["ref"]).note("Does plain gradient descent find the slope?")
    for step in range(STEPS):
        loss = torch.nn.functional.mse_loss(model(inputs).squeeze(1), wanted)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        run.log(step, loss=loss.item(), grad_norm=norm.item())
    found = model.weight.detach().squeeze(0)
    run.text(json.dumps({"found": found.tolist(), "wanted": SLOPE.tolist()}, indent=1), "slope.json")
    with tempfile.TemporaryDirectory() as folder:
        torch.save(model.state_dict(), Path(folder) / "weights.pt")
        registered = run.model(folder, "line-pytorch")
print(registered)
print(run.id)
