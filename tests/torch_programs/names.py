"""Words of several languages by an embedding and an LSTM."""

import torch
import torch.nn as nn

words = ["maria", "lucia", "paolo", "marco", "hans", "kurt", "heinz", "fritz", "ivan", "boris", "igor", "oleg"]
languages = torch.tensor([0] * 4 + [1] * 4 + [2] * 4)
letters = "abcdefghijklmnopqrstuvwxyz"
ids = torch.zeros(len(words), 5, dtype=torch.long)
for i, word in enumerate(words):
    ids[i, : len(word)] = torch.tensor([letters.index(c) + 1 for c in word])


class Classifier(nn.Module):
    def __init__(self, n_letters, hidden, n_classes):
        super().__init__()
        self.embedding = nn.Embedding(n_letters, 8, padding_idx=0)
        self.lstm = nn.LSTM(8, hidden, batch_first=True)
        self.out = nn.Linear(hidden, n_classes)

    def forward(self, x):
        _, (h, _c) = self.lstm(self.embedding(x))
        return self.out(h[-1])


model = Classifier(len(letters) + 1, 12, 3)
start(model)
criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.02, weight_decay=0.01)
losses = []
for _ in range(40):
    optimizer.zero_grad()
    loss = criterion(model(ids), languages)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
values, indices = model(ids).softmax(dim=-1).topk(1, dim=1, largest=True)
accuracy = (indices.squeeze(1) == languages).float().mean().item()
result = [*losses[::5], accuracy, values.min().item()]
assert accuracy > 0.9
