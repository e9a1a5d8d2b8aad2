"""Methods of modules with PyTorch's names."""

from __future__ import annotations

import pytest

import fastnn
import fastnn.nn as nn


def test_devices_and_dtypes() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    device = fastnn.device("cuda" if fastnn.cuda.is_available() else "cpu")
    assert model.to(device) is model and model.to(device, fastnn.float64).dtype == "float64"
    assert model(fastnn.ones(1, 3, dtype=fastnn.float64, device=device)).dtype == fastnn.double
    assert model.float().dtype == "float32" and model.double().cpu().dtype == "float64"
    assert fastnn.cuda.device_count() == int(fastnn.cuda.is_available())
    fastnn.cuda.synchronize()
    fastnn.cuda.empty_cache()
    if not fastnn.cuda.is_available():
        with pytest.raises(ValueError, match=r"Sequential: to: device is 'cuda'.*use_backend"):
            model.cuda()


def test_append() -> None:
    model = nn.Sequential(nn.Linear(3, 4)).append(nn.ReLU()).append(nn.Linear(4, 2))
    assert len(model) == 3 and model(fastnn.ones(1, 3)).shape == (1, 2)


def test_submodules_by_name() -> None:
    model = nn.Module()
    model.add_module("body", nn.Sequential(nn.Linear(3, 4), nn.ReLU()))
    model.register_module("head", nn.Linear(4, 2))
    assert [name for name, _ in model.named_children()] == ["body", "head"]
    assert model.get_submodule("body.0") is model.body[0] and model.get_submodule("") is model
    with pytest.raises(AttributeError, match=r"no submodule 'body\.7'"):
        model.get_submodule("body.7")
