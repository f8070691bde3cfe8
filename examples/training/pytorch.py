"""A training loop in plain PyTorch, tracked by Penstock's SDK.

PENSTOCK_URL and PENSTOCK_API_KEY say where the server is: python pytorch.py
"""

import torch

import penstock

STEPS, RATE = 60, 0.1

torch.manual_seed(0)
inputs = torch.randn(256, 4)
wanted = inputs @ torch.tensor([1.0, -2.0, 0.5, 3.0]) + 0.1 * torch.randn(256)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=RATE)

client = penstock.Client()
with client.runs.start("regression", name="pytorch", params={"rate": RATE, "steps": STEPS}) as run:
    for step in range(STEPS):
        loss = torch.nn.functional.mse_loss(model(inputs).squeeze(1), wanted)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        run.log(step, loss=loss.item(), grad_norm=norm.item())
print(run.id)
