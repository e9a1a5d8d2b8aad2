"""A convolutional network with functions, log-softmax, and a schedule of the learning rate."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import StepLR


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, 1)
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1)
        self.fc1 = nn.Linear(8 * 3 * 3, 16)
        self.fc2 = nn.Linear(16, 4)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2)
        x = F.dropout(x, 0.25, training=self.training)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        return F.log_softmax(self.fc2(x), dim=1)


labels = torch.arange(64) % 4
grid = torch.arange(64).reshape(8, 8)
patterns = torch.stack([grid % 2, grid // 8 % 2, (grid + grid // 8) % 2, grid // 2 % 2]).float()
images = (patterns[labels] + 0.1 * torch.sin(torch.arange(64 * 64).float()).reshape(64, 8, 8)).unsqueeze(1)

model = Net()
start(model)
model.eval()  # without dropout, which is random
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
scheduler = StepLR(optimizer, step_size=4, gamma=0.5)
losses = []
for _epoch in range(8):
    for i in range(0, 64, 16):
        optimizer.zero_grad(set_to_none=True)
        loss = F.nll_loss(model(images[i : i + 16]), labels[i : i + 16])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    losses.append(loss.item())
    scheduler.step()
with torch.no_grad():
    pred = model(images).argmax(dim=1, keepdim=True)
    accuracy = pred.eq(labels.view_as(pred)).sum().item() / len(labels)
result = [*losses, scheduler.get_last_lr()[0], accuracy]
assert accuracy > 0.9
