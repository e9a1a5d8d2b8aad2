"""A generator and a discriminator that are trained against each other."""

import torch
import torch.nn as nn

net_g = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2, inplace=True), nn.Linear(16, 1))
net_d = nn.Sequential(nn.Linear(1, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1), nn.Sigmoid())
start(net_g)
start(net_d)
criterion = nn.BCELoss()
opt_d = torch.optim.Adam(net_d.parameters(), lr=0.01, betas=(0.5, 0.999))
opt_g = torch.optim.Adam(net_g.parameters(), lr=0.01, betas=(0.5, 0.999))
result = []
for step in range(17):
    real = 3 + 0.5 * torch.sin(torch.arange(32).float() * (step + 1)).unsqueeze(1)
    noise = torch.cos(torch.arange(64).float() * (step + 2)).view(32, 2)
    label = torch.full((32, 1), 1.0, dtype=torch.float)
    net_d.zero_grad()
    err_real = criterion(net_d(real), label)
    err_real.backward()
    fake = net_g(noise)
    label.fill_(0.0)
    err_fake = criterion(net_d(fake.detach()), label)
    err_fake.backward()
    opt_d.step()
    net_g.zero_grad()
    label.fill_(1.0)
    err_g = criterion(net_d(fake), label)
    err_g.backward()
    opt_g.step()
    if step % 8 == 0:
        result += [(err_real + err_fake).item(), err_g.item(), fake.mean().item(), fake.std().item()]
