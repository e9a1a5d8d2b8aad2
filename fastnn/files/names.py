"""Names of files, and suffixes of files of other libraries, which fastnn does not use for its own files."""

from __future__ import annotations

import os
from typing import Any

KERAS = ("Keras", "model.load_weights(path) takes its weights")
TORCH = ("PyTorch", "it has weights, but no layers; make the model, then model.load_weights(path) takes its weights")
ONNX = ("ONNX", "onnx.numpy_helper.to_array gives the weights in its graph.initializer as arrays, for model.set_weights")
PICKLE = ("pickle", "fastnn never unpickles; read it with the library that wrote it, if you trust it, and pass on the arrays")
JOBLIB = ("joblib", PICKLE[1])
NUMPY = (
    "NumPy",
    "model.load_state_dict(dict(numpy.load(path))) takes the arrays of an .npz by name, model.set_weights in order",
)
GGUF = ("GGUF", "GGUFReader of the package gguf gives its tensors as arrays, for model.load_state_dict")
TENSORFLOW = ("TensorFlow", "read it with TensorFlow, and pass on the arrays to model.set_weights")

SUFFIXES = {
    **dict.fromkeys((".keras", ".h5", ".hdf5"), KERAS),
    **dict.fromkeys((".pt", ".pth", ".ckpt"), TORCH),
    **dict.fromkeys((".pkl", ".pickle"), PICKLE),
    **dict.fromkeys((".npy", ".npz"), NUMPY),
    **dict.fromkeys((".tflite", ".pb"), TENSORFLOW),
    ".onnx": ONNX,
    ".joblib": JOBLIB,
    ".gguf": GGUF,
}
"""Libraries that write files with these suffixes, and how to load their weights."""


def name_of(path: Any, op: str) -> str:
    """Return a path as text.

    Raises:
        TypeError: `path` is not a path.
        ValueError: no file can have this name.
    """
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"{op}: {type(path).__name__} came, wanted the name of a file") from None
    try:
        os.lstat(text)
    except ValueError:  # a zero byte, or half of a surrogate pair
        raise ValueError(f"{op}: no file can be named {text!r}") from None
    except OSError:
        pass  # the file does not exist yet; other errors are raised when it is opened
    return text


def refuse_suffix(path: str, op: str) -> None:
    """Raise ValueError if a path has the suffix of files of another library."""
    stem, suffix = os.path.splitext(path)
    if suffix.lower() in SUFFIXES:
        name = SUFFIXES[suffix.lower()][0]
        stem = stem.removesuffix(".weights")
        raise ValueError(
            f"{op}: {path}: files that end in {suffix} are {name}'s, which could not read what fastnn writes; "
            f"name it {stem}.fastnn or {stem}.safetensors"
        )
