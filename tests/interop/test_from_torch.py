"""Models of PyTorch in fastnn: equal outputs, names and weights."""

import collections
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn

torch = pytest.importorskip("torch", reason="torch is not installed")
tn: Any = torch.nn


def leaves(value: Any) -> list[Any]:
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list | tuple) else [value]


def equal(module: Any, *inputs: Any) -> fastnn.nn.Module:
    """Check that a module and its copy in fastnn have equal outputs in evaluation mode, and return the copy."""
    model = fastnn.from_torch(module.eval())
    assert not model.training
    assert {n: tuple(t.shape) for n, t in module.state_dict().items()} == {n: a.shape for n, a in model.state_dict().items()}
    with torch.no_grad():
        theirs = leaves(module(*inputs))
    ours = leaves(model(*[fastnn.tensor(x.numpy()) for x in inputs]))
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=3e-6)
    return model


def numbers(*shape: int) -> Any:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype("float32"))


def ids(*shape: int) -> Any:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 5, shape))


PLAIN = ["CELU", "ELU", "Hardshrink", "Hardsigmoid", "Hardswish", "LeakyReLU", "LogSigmoid", "Mish", "PReLU", "ReLU", "ReLU6"]
PLAIN += ["SELU", "SiLU", "Sigmoid", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Identity"]
LAYERS: dict[str, tuple[Callable[[], Any], Any]] = {
    "Linear": (lambda: tn.Linear(3, 4), numbers(2, 3)),
    "Linear without bias": (lambda: tn.Linear(3, 4, bias=False), numbers(2, 3)),
    "Conv1d": (lambda: tn.Conv1d(2, 4, 3, padding=1, stride=2), numbers(2, 2, 9)),
    "Conv2d": (lambda: tn.Conv2d(4, 4, 3, groups=2, padding=2, dilation=2, padding_mode="reflect"), numbers(2, 4, 9, 9)),
    "Conv3d": (lambda: tn.Conv3d(1, 2, 2, bias=False), numbers(1, 1, 4, 4, 4)),
    "ConvTranspose1d": (lambda: tn.ConvTranspose1d(2, 3, 3, stride=2), numbers(1, 2, 5)),
    "ConvTranspose2d": (lambda: tn.ConvTranspose2d(2, 3, 3, 2, padding=1, output_padding=1), numbers(1, 2, 5, 5)),
    "MaxPool1d": (lambda: tn.MaxPool1d(2), numbers(1, 2, 6)),
    "MaxPool2d": (lambda: tn.MaxPool2d(3, 2, padding=1, ceil_mode=True), numbers(1, 2, 7, 7)),
    "AvgPool2d": (lambda: tn.AvgPool2d(3, 2, padding=1, count_include_pad=False), numbers(1, 2, 7, 7)),
    "AvgPool3d": (lambda: tn.AvgPool3d(2), numbers(1, 2, 4, 4, 4)),
    "AdaptiveAvgPool2d": (lambda: tn.AdaptiveAvgPool2d((None, 2)), numbers(1, 2, 5, 6)),
    "AdaptiveMaxPool1d": (lambda: tn.AdaptiveMaxPool1d(3), numbers(1, 2, 6)),
    "BatchNorm1d": (lambda: tn.BatchNorm1d(3), numbers(4, 3)),
    "BatchNorm1d of the batch": (lambda: tn.BatchNorm1d(3, track_running_stats=False), numbers(4, 3)),
    "BatchNorm2d": (lambda: tn.BatchNorm2d(3, eps=1e-3, affine=False), numbers(4, 3, 2, 2)),
    "LayerNorm": (lambda: tn.LayerNorm((3, 4)), numbers(2, 3, 4)),
    "LayerNorm without bias": (lambda: tn.LayerNorm(4, bias=False), numbers(2, 4)),
    "LayerNorm without weights": (lambda: tn.LayerNorm(4, elementwise_affine=False), numbers(2, 4)),
    "GroupNorm": (lambda: tn.GroupNorm(2, 4), numbers(2, 4, 3)),
    "RMSNorm": (lambda: tn.RMSNorm(4), numbers(2, 4)),
    "InstanceNorm1d": (lambda: tn.InstanceNorm1d(3, affine=True), numbers(2, 3, 5)),
    "InstanceNorm2d": (lambda: tn.InstanceNorm2d(3, track_running_stats=True), numbers(2, 3, 5, 5)),
    "Embedding": (lambda: tn.Embedding(5, 3, padding_idx=0), ids(2, 4)),
    "EmbeddingBag": (lambda: tn.EmbeddingBag(5, 3), ids(2, 4)),
    "LSTM": (lambda: tn.LSTM(3, 4, 2, bidirectional=True, batch_first=True), numbers(2, 5, 3)),
    "LSTM with projections": (lambda: tn.LSTM(3, 4, 2, dropout=0.2, proj_size=2), numbers(5, 2, 3)),
    "GRU": (lambda: tn.GRU(3, 4), numbers(5, 2, 3)),
    "RNN": (lambda: tn.RNN(3, 4, nonlinearity="relu"), numbers(5, 2, 3)),
    "LSTMCell": (lambda: tn.LSTMCell(3, 4, bias=False), numbers(2, 3)),
    "GRUCell": (lambda: tn.GRUCell(3, 4), numbers(2, 3)),
    "GELU": (lambda: tn.GELU("tanh"), numbers(2, 4)),
    "Hardtanh": (lambda: tn.Hardtanh(-2, 0.5), numbers(2, 4)),
    "Softplus": (lambda: tn.Softplus(2, 1), numbers(2, 4)),
    "Threshold": (lambda: tn.Threshold(0.1, 2), numbers(2, 4)),
    "PReLU of channels": (lambda: tn.PReLU(4), numbers(2, 4, 3)),
    "Softmax": (lambda: tn.Softmax(1), numbers(2, 4, 3)),
    "GLU": (lambda: tn.GLU(1), numbers(2, 4, 3)),
    "Dropout": (lambda: tn.Dropout(0.3), numbers(2, 4)),
    "Flatten": (lambda: tn.Flatten(0, 1), numbers(2, 4, 3)),
    "PixelShuffle": (lambda: tn.PixelShuffle(2), numbers(1, 4, 2, 2)),
    "Upsample": (lambda: tn.Upsample(size=(5, 4), mode="bilinear"), numbers(1, 2, 3, 3)),
    "ReflectionPad2d": (lambda: tn.ReflectionPad2d(1), numbers(1, 2, 3, 3)),
    "ConstantPad1d": (lambda: tn.ConstantPad1d((1, 2), 3.5), numbers(1, 2, 3)),
    "TransformerEncoderLayer": (
        lambda: tn.TransformerEncoderLayer(4, 2, 8, batch_first=True, norm_first=True, activation="gelu"),
        numbers(2, 5, 4),
    ),
    "TransformerEncoder": (
        lambda: tn.TransformerEncoder(
            tn.TransformerEncoderLayer(4, 2, 8, bias=False), 2, tn.LayerNorm(4), enable_nested_tensor=False
        ),
        numbers(5, 2, 4),
    ),
    **{name: (getattr(tn, name), numbers(2, 4)) for name in PLAIN},
}


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    make, x = LAYERS[name]
    torch.manual_seed(0)
    equal(make(), x)


def test_layers_of_several_inputs() -> None:
    torch.manual_seed(0)
    q, k = numbers(3, 2, 4), numbers(5, 2, 4)
    equal(tn.MultiheadAttention(4, 2), q, k, k)
    equal(tn.MultiheadAttention(4, 2, bias=False, kdim=3, vdim=5), q, numbers(5, 2, 3), numbers(5, 2, 5))
    equal(tn.TransformerDecoder(tn.TransformerDecoderLayer(4, 2, 8), 2), q, k)


def test_sequential_of_sequentials_trains_as_in_pytorch() -> None:
    torch.manual_seed(0)
    module = tn.Sequential(
        tn.Sequential(tn.Conv2d(1, 3, 3), tn.BatchNorm2d(3), tn.ReLU(), tn.MaxPool2d(2)), tn.Flatten(), tn.Linear(27, 2)
    )
    x, y = numbers(8, 1, 8, 8), torch.arange(8) % 2
    model = equal(module, x)
    assert isinstance(model, fastnn.Sequential) and isinstance(model[0], fastnn.Sequential)
    model, optimizer = fastnn.from_torch(module.train()), torch.optim.SGD(module.parameters(), 0.1)
    assert model.training
    own = fastnn.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        tn.CrossEntropyLoss()(module(x), y).backward()
        optimizer.step()
        own.zero_grad()
        fastnn.nn.CrossEntropyLoss()(model(fastnn.tensor(x.numpy())), fastnn.tensor(y.numpy())).backward()
        own.step()
    for name, t in module.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name], t.numpy(), rtol=1e-4, atol=1e-5)


def test_dtype_and_frozen_weights_are_kept() -> None:
    module = tn.Sequential(tn.Linear(3, 4), tn.Linear(4, 2)).double()
    module[0].requires_grad_(False)
    model = fastnn.from_torch(module)
    assert model.dtype == np.float64
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]
    assert fastnn.from_torch(tn.Linear(3, 4).bfloat16()).dtype == np.float32


def test_errors_name_the_layer() -> None:
    with pytest.raises(TypeError, match=r"from_torch: Dense came, wanted a torch.nn.Module"):
        fastnn.from_torch(fastnn.Dense(2))
    with pytest.raises(ValueError, match=r"from_torch: .*1\.0 is a Bilinear, which fastnn does not have"):
        fastnn.from_torch(tn.Sequential(tn.ReLU(), tn.Sequential(tn.Bilinear(2, 2, 2))))
    with pytest.raises(ValueError, match=r"from_torch: 0 is a Softmax that fastnn does not have: its dim is None"):
        fastnn.from_torch(tn.Sequential(tn.Softmax()))
    with pytest.raises(ValueError, match=r"MultiheadAttention that fastnn does not have: .*add_bias_kv is True"):
        fastnn.from_torch(tn.MultiheadAttention(4, 2, add_bias_kv=True))


class Net(tn.Module):
    """An image classifier as in tutorials: layers in attributes, functions in forward."""

    def __init__(self) -> None:
        super().__init__()
        self.features = tn.Sequential(tn.Conv2d(1, 4, 3, padding=1), tn.BatchNorm2d(4), tn.ReLU())
        self.layers = tn.ModuleList([tn.Conv2d(4, 4, 3, padding=1) for _ in range(2)])
        self.scale = tn.Parameter(torch.ones(4, 1, 1) * 2)
        self.register_buffer("shift", torch.ones(1), persistent=False)
        self.fc = tn.Linear(16, 3)
        self.loss = tn.CrossEntropyLoss()

    def forward(self, x: Any, noise: Any = None) -> Any:
        x = self.features(x)
        for conv in self.layers:
            x = x + tn.functional.relu(conv(x))
        x = tn.functional.max_pool2d(x, 2) * self.scale + self.shift + torch.tensor(0.5)
        x = tn.functional.adaptive_avg_pool2d(x, (2, 2)).view(x.size(0), -1)
        x = tn.functional.dropout(x, 0.5, training=self.training)
        x += 1
        return tn.functional.log_softmax(self.fc(x), dim=1)


class Sentences(tn.Module):
    """Recurrent layers and attention, two inputs, several outputs, tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = tn.Embedding(5, 4)
        self.lstm = tn.LSTM(4, 4, batch_first=True)
        self.attention = tn.MultiheadAttention(4, 2, batch_first=True)
        self.places = tn.Parameter(torch.ones(6, 4))
        self.head = tn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: Any, more: Any) -> Any:
        x = self.embed(ids) + self.places[: ids.shape[1]]
        x, (h, _) = self.lstm(x)
        y, _ = self.attention(x, x, x)
        y = torch.cat([y, more.transpose(1, 2)], dim=-1).mean(dim=1)
        return {"logits": self.head(x), "rest": (y, h.squeeze(0) ** 2)}


class Residuals(tn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = tn.Sequential(Block(), Block())

    def forward(self, x: Any) -> Any:
        return self.inner(x)


class Block(tn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.norm = tn.Linear(4, 4), tn.LayerNorm(4)

    def forward(self, x: Any) -> Any:
        a, b = self.norm(x).chunk(2, dim=-1)
        return x + torch.sigmoid(self.up(torch.cat((b, a), -1))) / 2


def test_forward_with_functions(tmp_path: Any) -> None:
    torch.manual_seed(0)
    module, x = Net().eval(), numbers(3, 1, 8, 8)
    model = fastnn.from_torch(module)
    assert set(module.state_dict()) <= set(model.state_dict())
    wanted = module(x).detach().numpy()
    np.testing.assert_allclose(model.predict(x.numpy()), wanted, rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "m.fastnn")
    np.testing.assert_array_equal(fastnn.load(tmp_path / "m.fastnn").predict(x.numpy()), model.predict(x.numpy()))
    frozen = model.freeze(batch_size=3, input_shape=(1, 8, 8))
    np.testing.assert_allclose(frozen(x.numpy()), wanted, rtol=1e-4, atol=1e-5)
    model.train()
    first, second = (model(fastnn.tensor(x.numpy())).numpy() for _ in range(2))
    assert (first != second).any()  # dropout
    model.compile("adam", fastnn.nn.NLLLoss())
    losses = model.fit(x.numpy(), np.array([0, 1, 2]), epochs=30, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert module.training is False


def test_several_inputs_outputs_and_tied_weights(tmp_path: Any) -> None:
    torch.manual_seed(0)
    module, words, more = Sentences().eval(), ids(2, 6), numbers(2, 3, 6)
    model = fastnn.from_torch(module)
    wanted = module(words, more)
    for own in (model, None):
        if own is None:
            model.save(tmp_path / "m.fastnn")
            own = fastnn.load(tmp_path / "m.fastnn")
        found = own(fastnn.tensor(words.numpy()), fastnn.tensor(more.numpy()))
        np.testing.assert_allclose(found["logits"].numpy(), wanted["logits"].detach().numpy(), rtol=1e-4, atol=1e-5)
        for a, b in zip(found["rest"], wanted["rest"], strict=True):
            np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-5)
        assert len(list(own.parameters())) == len(list(module.parameters()))


def test_modules_in_modules() -> None:
    torch.manual_seed(0)
    equal(Residuals(), numbers(2, 4))
    equal(tn.Sequential(Block(), tn.ReLU()), numbers(2, 4))
    equal(tn.Sequential(tn.Linear(4, 6), tn.Conv1d(2, 3, 3)), numbers(5, 2, 4))


def test_forwards_that_cannot_be_recorded() -> None:
    class Branches(tn.Module):
        def forward(self, x: Any) -> Any:
            return x if x.sum() > 0 else -x

    class Modes(tn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2 if self.training else x

    class Unknown(tn.Module):
        def forward(self, x: Any) -> Any:
            return torch.fft.fft(x)

    class Named(tn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fit = tn.Linear(2, 2)

        def forward(self, x: Any) -> Any:
            return self.fit(x)

    with pytest.raises(ValueError, match="from_torch: fit: 'fit' is the name of an attribute of fastnn's modules"):
        fastnn.from_torch(Named())
    with pytest.raises(ValueError, match=r"from_torch: the forward of Branches cannot be recorded: .*control flow"):
        fastnn.from_torch(Branches())
    with pytest.raises(ValueError, match="the forward of Modes takes other steps in training than in evaluation"):
        fastnn.from_torch(Modes())
    with pytest.raises(ValueError, match=r"the forward of Unknown \(.*\) calls the function fft_fft, for which"):
        fastnn.from_torch(Unknown())


def test_named_layers_of_a_sequential_keep_their_names() -> None:
    inner = torch.nn.Sequential(collections.OrderedDict(norm=torch.nn.LayerNorm(4), out=torch.nn.Linear(4, 2)))
    module = torch.nn.Sequential(collections.OrderedDict(fc=torch.nn.Linear(3, 4), act=torch.nn.ReLU(), head=inner))
    model = fastnn.from_torch(module)
    assert list(model.state_dict()) == list(module.state_dict())
    x = torch.randn(5, 3)
    np.testing.assert_allclose(model(x.numpy()).detach().numpy(), module(x).detach().numpy(), rtol=1e-5, atol=1e-6)
