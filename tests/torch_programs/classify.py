"""A classifier of features: data set, loader, device, training and evaluation, weights in a file."""

import os
import tempfile

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
x = torch.sin(torch.arange(240 * 6).float() * 0.37).reshape(240, 6)
y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).long() + (x[:, 3] > 0.5).long()
train = DataLoader(TensorDataset(x[:200], y[:200]), batch_size=32, shuffle=False)
test = DataLoader(TensorDataset(x[200:], y[200:]), batch_size=20)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.stack = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 3))

    def forward(self, x):
        return self.stack(self.flatten(x))


model = Net().to(device)
start(model)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
losses = []
for _epoch in range(8):
    model.train()
    for xb, yb in train:
        xb, yb = xb.to(device), yb.to(device)
        loss = loss_fn(model(xb), yb)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    losses.append(loss.item())

path = os.path.join(tempfile.mkdtemp(), "model.pth")
torch.save(model.state_dict(), path)
model = Net().to(device)
model.load_state_dict(torch.load(path, weights_only=True, map_location=device))
model.eval()
correct, size = 0.0, len(test.dataset)
with torch.no_grad():
    for xb, yb in test:
        correct += (model(xb).argmax(1) == yb).type(torch.float).sum().item()
result = [*losses, correct / size]
assert correct / size > 0.6
