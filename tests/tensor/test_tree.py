"""Nested lists, tuples, dicts and named tuples as flat lists and back; and what users give for each leaf of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnn.core import tree
from fastnn.core.structure import Structure


class State(NamedTuple):
    h: Any
    c: Any


def nests(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves | st.none(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.lists(inner, max_size=3).map(tuple)
            | st.dictionaries(st.sampled_from("abc") | st.integers(0, 2), inner, max_size=3)
            | st.builds(State, inner, inner)
        ),
        max_leaves=8,
    )


@settings(max_examples=40, deadline=None)
@given(nests(st.integers()))
def test_back_and_forth(value: Any) -> None:
    how, leaves = tree.flatten(value)
    again = tree.unflatten(how, leaves)
    assert repr(again) == repr(value)  # the types and the order of dicts too
    assert tree.flatten(again) == (how, leaves) and hash(how) == hash(tree.flatten(again)[0])
    assert tree.count(how) == len(leaves) == len(tree.places(how))
    assert tree.flatten_as(how, value) == leaves
    assert tree.replace(value, lambda leaf: leaf) is value
    changed = tree.replace(value, lambda leaf: [leaf])
    assert tree.flatten_as(how, changed) == [[leaf] for leaf in leaves]
    for place, leaf in zip(tree.places(how, "value"), leaves, strict=True):
        assert eval(place, {"value": value}) is leaf


@settings(max_examples=40, deadline=None)
@given(nests(st.integers()), nests(st.integers()))
def test_equal_trees_are_those_that_are_nested_alike(one: Any, other: Any) -> None:
    a, b = tree.flatten(one)[0], tree.flatten(other)[0]
    assert (a == b) is (repr(tree.replace(one, lambda _: 0)) == repr(tree.replace(other, lambda _: 0)))
    if a == b:
        assert tree.flatten_as(a, other) == tree.flatten(other)[1]


@settings(max_examples=40, deadline=None)
@given(nests(st.integers()))
def test_structures_have_a_name_for_each_leaf_and_take_what_is_nested_alike(value: Any) -> None:
    structure, leaves = Structure.of(value)
    assert len(set(structure.names)) == len(structure.names) == len(structure) == len(leaves)
    assert repr(structure.build(leaves)) == repr(value)
    if len(leaves) != 1:  # of one, the list may be its rows
        assert structure.spread(value, "f", "x") == leaves
    assert structure.spread(dict(zip(structure.names, leaves, strict=True)), "f", "x") == leaves
    assert structure == Structure.of(structure.build(leaves))[0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"y": 1}, r"outputs has the keys \['y'\]; wanted a dict with: y, state"),
        ({"y": 1, "state": 2}, r"outputs\['state'\] is a int; wanted a tuple of 2"),
        ({"y": 1, "state": (1, [2, 3])}, r"outputs\['state'\]\[1\] has 2 entries; wanted a list of 1"),
        ({"y": 1, "state": (1, None)}, r"outputs\['state'\]\[1\] is a NoneType; wanted a list of 1"),
        ([1, (1, [2])], r"outputs is a list; wanted a dict with: y, state"),
    ],
)
def test_what_is_nested_otherwise_is_named(value: Any, message: str) -> None:
    how, _ = tree.flatten({"y": 0, "state": (0, [0])})
    with pytest.raises(ValueError, match=message):
        tree.flatten_as(how, value, "outputs")


def test_names() -> None:
    def names(value: Any) -> list[str]:
        return Structure.of(value)[0].names

    assert names(1) == ["output"] and names([1, 2]) == ["output_1", "output_2"]
    assert names({"y": 1, "state": State(1, [2])}) == ["y", "state_h", "state_c_1"]
    assert names((1, {"a": 2})) == ["output_1", "output_2_a"]
    assert names({"a": [1], "a_1": 2}) == ["a_1", "a_1_1"]


def test_spread_by_keys_names_and_places() -> None:
    structure, _ = Structure.of({"y": 0, "state": (0, 0)})
    assert structure.spread({"state": [1, 2], "y": 3}, "fit", "y") == [3, 1, 2]
    assert structure.spread({"state_2": 2, "y": 3}, "fit", "loss", optional=True) == [3, None, 2]
    assert structure.spread({"y": 3}, "fit", "loss", optional=True) == [3, None, None]
    assert structure.spread({"y": 3, "state": None}, "fit", "loss", optional=True) == [3, None, None]
    with pytest.raises(ValueError, match=r"fit: loss\['state'\] is a str; wanted a list, tuple or dict of 2: state_1, state_2"):
        structure.spread({"y": 3, "state": "mse"}, "fit", "loss")
    with pytest.raises(ValueError, match=r"fit: loss has unknown keys \['z'\]; wanted a dict with: y, state"):
        structure.spread({"y": 3, "z": 1}, "fit", "loss")
    one, _ = Structure.of([np.zeros(3)])
    assert one.spread([np.ones(3)], "fit", "y")[0].tolist() == [1, 1, 1] and one.spread(5, "fit", "y") == [5]
