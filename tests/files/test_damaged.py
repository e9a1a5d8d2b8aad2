"""Files that are damaged, or made to do harm: loading refuses them in few words, before it takes time or memory."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_files import a_graph, write

import fastnn
import fastnn.nn as nn
from fastnn.files import layers


def damaged(change: Any) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(json.dumps(layers.layer_config(a_graph())))
    change(config["config"])
    return config


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["calls"].insert(0, [0, [99]]),
        lambda c: c["calls"].insert(0, [0, [-1]]),
        lambda c: c["calls"].insert(0, [99, [0]]),
        lambda c: c["calls"].insert(0, [0, [{"value": [1]}]]),
        lambda c: c["calls"].insert(0, [0, [{"dict": [0]}]]),
        lambda c: c["calls"].insert(0, [0, [{"other": 0}]]),
        lambda c: c["calls"].insert(0, [0, [None]]),
        lambda c: c["calls"].insert(0, 5),
        lambda c: c["calls"].insert(0, [0, [True]]),
        *(
            lambda c, options=options: c["calls"][0].extend(options)
            for options in ([{}], [None], [True], [{"training": None}], [{"training": 1}], [{"training": "x"}], [{"mode": True}])
        ),
        lambda c: c["calls"][0].extend([{"training": True, "mask": None}]),
        lambda c: c["calls"][0].extend([{"training": True}, {"training": True}]),
        lambda c: c.update(outputs=[1000]),
        lambda c: c.update(outputs={"dict": {"a": 1000}}),
        lambda c: c.update(inputs=[["a", [10**12], "float32"], ["b", [4], "float32"]]),
        lambda c: c.update(inputs=[["a", [4], "complex64"], ["b", [4], "float32"]]),
        lambda c: c.update(inputs=[["a", [4], "float32"]]),
        lambda c: c.update(inputs=5),
        lambda c: c.update(input_kind="set"),
        lambda c: c.update(layer_names=[]),
        lambda c: c["layers"].__setitem__(0, {"class_name": "Shared", "config": {"number": 0}}),
        lambda c: c["layers"].__setitem__(0, {"class_name": "Shared", "config": {"number": -1}}),
        lambda c: c["layers"].__setitem__(0, {"class_name": "Shared", "config": {}}),
        lambda c: c["layers"].__setitem__(0, {"class_name": "Slice", "config": {"key": [["a", 1, 2]]}}),
        lambda c: c["layers"].__setitem__(0, {"class_name": "Arithmetic", "config": {"op": "__class__"}}),
        lambda c: c.pop("layers"),
        lambda c: c.pop("calls"),
    ],
)
def test_damaged_graphs_are_refused(change: Any) -> None:
    with pytest.raises(ValueError, match="load: the file"):
        layers.layer_from_config(damaged(change))


def test_a_graph_with_huge_inputs_is_refused(tmp_path: Path) -> None:
    header = {"version": 1, "model": damaged(lambda c: c.update(inputs=[["a", [10**7], "float32"], ["b", [4], "float32"]]))}
    write(tmp_path / "m", a_graph().state_dict(), header)
    with pytest.raises(ValueError, match="an input of size 10000000, but 20 weights"):
        fastnn.load(tmp_path / "m")


@pytest.mark.parametrize(
    "ties",
    [
        *(3, {"2.weight": 5}, {"2.weight": ["x", [1, 0]]}, {"x": ["0.weight", [1, 0]]}, {"2.bias": ["0.weight", [1, 0]]}),
        *({"2.weight": ["0.weight", [0, 0]]}, {"2.weight": ["0.weight", [1]]}, {"2.weight": ["0.weight", True]}),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_damaged_ties_are_refused(ties: Any, version: int, tmp_path: Path) -> None:
    model = fastnn.Sequential([nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)])
    model[2].weight = model[0].weight
    if version == 1 and isinstance(ties, dict):
        older = {name: [tie[0], tie[1] is not True] for name, tie in ties.items() if isinstance(tie, list)}
        ties = older | {"2.bias": 1}
    header = {"version": version, "model": layers.layer_config(model), "ties": ties}
    write(tmp_path / "m", model.state_dict(), header)
    with pytest.raises(ValueError, match="load:"):
        fastnn.load(tmp_path / "m")


def dense(units: int, inputs: Any = None) -> dict[str, Any]:
    return {"class_name": "Dense", "config": {"units": units, "input_shape": inputs}}


def sequential(layers: list[Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"layers": layers}}


def graph(shapes: list[list[int]], layer: dict[str, Any], calls: list[Any]) -> dict[str, Any]:
    inputs = [[f"x{i}", shape, "float32"] for i, shape in enumerate(shapes)]
    kinds = {"input_kind": "list", "inputs": inputs, "layers": [layer], "layer_names": ["l"], "calls": calls}
    return {"class_name": "Model", "config": {**kinds, "outputs": len(inputs) + len(calls) - 1}}


ADD = {"class_name": "Add", "config": {}}
PAIRS = [dense(1, [1]), *(sequential([{"class_name": "Shared", "config": {"number": i}}] * 2) for i in range(40))]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (sequential([dense(20, [20])]), r"a parameter of shape \(20, 20\), but 30 weights"),
        (sequential([dense(5, [5])] * 2), r"a parameter of shape \(5, 5\), but 30 weights"),
        (sequential([{"class_name": "keras.PReLU", "config": {"input_shape": [31]}}]), r"shape \(31,\), but 30 weights"),
        (graph([[65536, 1], [1, 65536]], ADD, [[0, [[0, 1]]]]), r"an array of shape \(2, 65536, 65536\)"),
        (
            graph([[4]], {"class_name": "Activation", "config": {"activation": "relu"}}, [[0, [i]] for i in range(70_000)]),
            "too much work",
        ),
        (sequential(PAIRS), "more than 100000 layers"),
    ],
    ids=["units x inputs", "many layers", "slopes", "stretched", "long", "doubled"],
)
def test_small_files_of_huge_models_are_refused(model: Any, message: str, tmp_path: Path) -> None:
    header = {"version": 1, "model": model}
    weights = {"w": np.zeros(30, np.float32)}
    write(tmp_path / "m", weights, header)
    with pytest.raises(ValueError, match=message):
        fastnn.load(tmp_path / "m")


@pytest.mark.parametrize(
    "layer",
    [
        {"class_name": "Dense", "config": {"units": 2, "dtype": "9" * 5000}},
        {"class_name": "Softmax", "config": {"axis": [[]]}},
        {"class_name": "GLU", "config": {"axis": None}},
        {"class_name": "Dropout", "config": {"rate": "9" * 5000}},
    ],
)
def test_damaged_layers_are_refused_in_few_words(layer: Any) -> None:
    with pytest.raises(ValueError, match="load: the file's architecture is damaged") as info:
        layers.layer_from_config(layer)
    assert len(str(info.value)) < 600


def test_damaged_training_settings_are_refused(tmp_path: Path) -> None:
    model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])
    loss = {"class_name": "sparse_categorical_crossentropy", "config": {"ignore_class": float("inf")}}
    settings = {"optimizer": {"class_name": "SGD", "config": {}}, "loss": loss, "metrics": []}
    header = {"version": 1, "model": layers.layer_config(model), "compile": settings}
    write(tmp_path / "m", model.state_dict(), header)
    with pytest.raises(ValueError, match="damaged: its training settings"):
        fastnn.load(tmp_path / "m")


def test_ties_of_other_dtypes_are_refused(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, dtype="float64"))
    header = {"version": 2, "model": layers.layer_config(model), "ties": {"1.bias": ["0.bias", None]}}
    state = {name: a for name, a in model.state_dict().items() if name != "1.bias"}
    write(tmp_path / "m", state, header)
    with pytest.raises(ValueError, match="different shapes or dtypes"):
        fastnn.load(tmp_path / "m")
