"""A step of deep Q-learning with a target network, on given transitions."""

import copy

import torch
import torch.nn as nn
import torch.optim as optim


def net():
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))


policy_net, target_net = net(), net()
start(policy_net)
target_net.load_state_dict(policy_net.state_dict())
optimizer = optim.AdamW(policy_net.parameters(), lr=1e-2, amsgrad=True)
state = torch.cos(torch.arange(160).float()).view(40, 4)
next_state = torch.roll(state, -1, 0)
action = (torch.arange(40) % 3).unsqueeze(1)
reward = torch.where(state[:, 0] > 0, 1.0, -1.0)
done = torch.arange(40) % 10 == 9
result = []
for _ in range(20):
    state_action_values = policy_net(state).gather(1, action)
    with torch.no_grad():
        next_values = target_net(next_state).max(1).values
        next_values = next_values * (~done).float()
    expected = next_values * 0.99 + reward
    loss = nn.SmoothL1Loss()(state_action_values, expected.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()
    with torch.no_grad():
        for p, q in zip(target_net.parameters(), policy_net.parameters(), strict=True):
            p.mul_(0.9).add_(q, alpha=0.1)
    result.append(loss.item())
frozen = copy.deepcopy(policy_net).eval()
result += frozen(state[:2]).max(1).indices.tolist()
assert result[15] < result[0]
