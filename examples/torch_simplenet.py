"""A network of two layers as PyTorch users write it; only the import lines differ."""

import fastnn as torch
import fastnn.nn as nn


class SimpleNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Linear(3, 4)  # 3 inputs -> 4 hidden
        self.layer2 = nn.Linear(4, 2)  # 4 hidden -> 2 outputs
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.layer1(x))
        x = self.layer2(x)
        return x  # fmt: skip


model = SimpleNet()
print(model)

# Single forward pass
x = torch.tensor([1.5, -0.5, 2.0])
output = model(x)
print("Output:", output)
print("Predicted class:", output.argmax().item())
assert output.shape == (2,) and output.argmax().item() in (0, 1)
