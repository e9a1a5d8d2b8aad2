"""A variational autoencoder with given noise."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(16, 12)
        self.fc21 = nn.Linear(12, 2)
        self.fc22 = nn.Linear(12, 2)
        self.fc3 = nn.Linear(2, 12)
        self.fc4 = nn.Linear(12, 16)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar, noise):
        return mu + noise * torch.exp(0.5 * logvar)

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x, noise):
        mu, logvar = self.encode(x.view(-1, 16))
        return self.decode(self.reparameterize(mu, logvar, noise)), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    bce = F.binary_cross_entropy(recon_x, x.view(-1, 16), reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce + kld


x = (torch.sin(torch.arange(40 * 16).float() * 0.05) > 0).float().reshape(40, 4, 4)
model = VAE()
start(model)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
losses = []
for step in range(60):
    noise = torch.cos(torch.arange(80).float() * (step + 1)).reshape(40, 2)
    optimizer.zero_grad()
    recon, mu, logvar = model(x, noise)
    loss = loss_function(recon, x, mu, logvar)
    loss.backward()
    losses.append(loss.item() / len(x))
    optimizer.step()
with torch.inference_mode():
    sample = model.decode(torch.zeros(1, 2)).cpu()
result = [*losses[::10], *sample[0].tolist()]
assert losses[-1] < 0.9 * losses[0]
