"""A policy gradient with a baseline, for given states and actions."""

import torch
import torch.nn as nn
from torch.distributions import Categorical, Normal, kl_divergence


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 16)
        self.action_head = nn.Linear(16, 2)
        self.value_head = nn.Linear(16, 1)

    def forward(self, x):
        x = torch.relu(self.body(x))
        return torch.softmax(self.action_head(x), dim=-1), self.value_head(x)


model = Policy()
start(model)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
states = torch.sin(torch.arange(20 * 4).float()).reshape(20, 4)
actions = (states[:, 0] > 0).int()
rewards = [1.0 if i % 3 else -0.5 for i in range(20)]
eps = torch.finfo(torch.float32).eps
result = []
for _ in range(15):
    returns, total = [], 0.0
    for r in rewards[::-1]:
        total = r + 0.9 * total
        returns.insert(0, total)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + eps)
    probs, values = model(states)
    m = Categorical(probs)
    advantage = returns - values.squeeze(-1).detach()
    policy_loss = (-m.log_prob(actions) * advantage).sum()
    value_loss = nn.functional.smooth_l1_loss(values.squeeze(-1), returns)
    loss = policy_loss + value_loss - 0.01 * m.entropy().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    result.append(loss.item())
assert Categorical(probs).sample().shape == (20,)
result.append(kl_divergence(Normal(torch.tensor(0.5), torch.tensor(2.0)), Normal(0.0, 1.0)).item())
