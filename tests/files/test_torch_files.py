"""Files that torch.save wrote: tensors are read, and nothing in them is run."""

import collections
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn


class Tensor:
    """Something that pickles like a tensor of PyTorch with 6 numbers."""

    def __init__(self, *, offset: Any = 0, size: Any = (2, 3), stride: Any = (3, 1), count: Any = 6) -> None:
        self.args = offset, size, stride
        self.count = count


class Storage:
    def __init__(self, kind: str, count: Any) -> None:
        self.kind, self.count = kind, count


class Global:
    """A name, as pickles write the names of functions."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Call:
    def __init__(self, function: Global, *args: Any) -> None:
        self.function, self.args = function, args


def pickled(value: Any) -> bytes:
    """Write plain values and the classes above as a pickle, of which Python's own pickler would check the names."""
    if isinstance(value, Global):
        return f"c{value.module}\n{value.name}\n".encode()
    if isinstance(value, Call):
        return pickled(value.function) + pickled(value.args) + b"R"
    if isinstance(value, Storage):
        return pickled(("storage", Global("torch", value.kind), "0", "cpu", value.count)) + b"Q"
    if isinstance(value, Tensor):
        return pickled(
            Call(Global("torch._utils", "_rebuild_tensor_v2"), Storage("FloatStorage", value.count), *value.args, False)
        )
    if isinstance(value, dict):
        return b"}(" + b"".join(pickled(item) for pair in value.items() for item in pair) + b"u"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(pickled, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(pickled, value)) + b"e"
    return pickle.dumps(value, 2)[2:-1].replace(b"q\x00", b"")


def archive(path: Path, value: Any, content: bytes = np.arange(6, dtype="<f4").tobytes(), **more: Any) -> Path:
    with zipfile.ZipFile(path, "w", more.get("compression", zipfile.ZIP_STORED)) as z:
        z.writestr("a/data.pkl", value if isinstance(value, bytes) else b"\x80\x02" + pickled(value) + b".")
        z.writestr("a/data/0", content)
    return path


def test_what_the_tests_write_is_read(tmp_path: Path) -> None:
    found = fastnn.load_state(archive(tmp_path / "w.pt", {"w": Tensor(), "part": Tensor(offset=1, size=(2,), stride=(3,))}))
    np.testing.assert_array_equal(found["w"], np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(found["part"], [1, 4])


def test_weights_of_pytorch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    tn = torch.nn
    module = tn.Sequential(tn.Linear(3, 4), tn.BatchNorm1d(4), tn.ReLU(), tn.Linear(4, 2)).eval()
    x = torch.ones(2, 3)
    for old in (False, True):
        for what in (module.state_dict(), {"epoch": 3, "model": {f"module.{n}": t for n, t in module.state_dict().items()}}):
            torch.save(what, tmp_path / "w.pt", _use_new_zipfile_serialization=not old)
            model = fastnn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)).eval()
            model.load_weights(tmp_path / "w.pt")
            np.testing.assert_allclose(model(x.numpy()).numpy(), module(x).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_all_kinds_of_tensors(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    dtypes = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
    held = {name: torch.arange(24).reshape(2, 3, 4).to(getattr(torch, name)) for name in dtypes}
    held |= {"turned": held["float32"].permute(2, 1, 0)[1:, ::2], "one": torch.tensor(2.5), "none": torch.zeros(0, 3)}
    held |= {"parameter": torch.nn.Parameter(torch.ones(2))}
    more = {
        "epoch": 3,
        "names": ("a", ["b", None]),
        "rate": 0.5,
        "done": False,
        "dtype": torch.float32,
        "size": torch.ones(2).shape,
    }
    for old in (False, True):
        torch.save({"tensors": collections.OrderedDict(held), **more}, tmp_path / "w", _use_new_zipfile_serialization=not old)
        found = fastnn.load_state(tmp_path / "w")
        assert found["names"] == more["names"] and (found["epoch"], found["rate"], found["done"], found["size"]) == (
            3,
            0.5,
            False,
            (2,),
        )
        for name, t in held.items():
            wanted = t.detach().float().numpy() if name == "bfloat16" else t.detach().numpy()
            np.testing.assert_array_equal(found["tensors"][name], wanted, strict=True)
    assert found["tensors"]["float32"].flags.writeable


def test_code_is_refused_by_name_and_not_run(tmp_path: Path) -> None:
    target = tmp_path / "ran"

    class Hostile:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {target}",)

    for protocol in (0, 2, 4):
        archive(tmp_path / "w.pt", pickle.dumps({"w": Hostile()}, protocol))
        for read in (fastnn.load_state, nn.Linear(2, 3).load_weights):
            with pytest.raises(ValueError, match=r"w\.pt: it names (posix|nt)\.system, which is no tensor.*never runs code"):
                read(tmp_path / "w.pt")
    assert not target.exists()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Call(Global("builtins", "eval"), "1"), "names builtins.eval"),
        (Call(Global("torch", "load"), "x"), "names torch.load"),
        (Call(Global("torch", "FloatStorage"), 3), "calls torch.FloatStorage"),
        (Global("torch.nn.modules.linear", "Linear"), r"names torch.nn.modules.linear.Linear.*state_dict\(\)"),
        (b"\x80\x02}(X\x01\x00\x00\x00ax\x00u.", "damaged"),
        (b"\x80\x02c__builtin__\nset\n]\x85R.", "names __builtin__.set"),
        (b"\x80\x02]}b.", "sets attributes"),
        (b"\x80\x02)\x81.", "instruction NEWOBJ"),
        (b"\x80\x02K\x01", "damaged"),
        (b"\x80\x02.", "damaged"),
        (b"\x80\x02h\x05.", "damaged"),
        (b"\x80\x02}((((ttttK\x01u.", "damaged"),
        (b"\x80\x02K\x01K\x02R.", "damaged"),
        ({"w": Tensor(size=(3, 3))}, "damaged.*shape .3, 3. in a storage of 6"),
        ({"w": Tensor(size=(10**9, 10**9), stride=(0, 0))}, "damaged"),
        ({"w": Tensor(offset=-1)}, "damaged"),
        ({"w": Tensor(offset=10**30)}, "damaged"),
        ({"w": Tensor(size=(0, 2**62), stride=(2**62, 1))}, "damaged"),
        ({"w": Tensor(size=(1,) * 40, stride=(1,) * 40)}, "damaged"),
        ({"w": Tensor(size="ab", stride="cd")}, "damaged"),
        ({"w": Tensor(count=7)}, "damaged.*6 numbers"),
        ({"w": Tensor(count="x")}, "damaged"),
        (Storage("ComplexFloatStorage", 3), "names torch.ComplexFloatStorage"),
    ],
)
def test_hostile_files(value: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"load_state: .*w\.pt: it .*{words}"):
        fastnn.load_state(archive(tmp_path / "w.pt", value))


def test_large_and_damaged_archives(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="are not compressed"):
        fastnn.load_state(archive(tmp_path / "w.pt", {"w": Tensor()}, bytes(10**6), compression=zipfile.ZIP_DEFLATED))
    content = archive(tmp_path / "w.pt", {"w": Tensor()}).read_bytes()
    for n in range(1, len(content), 7):
        (tmp_path / "w.pt").write_bytes(content[:n])
        with pytest.raises(ValueError, match=r"w\.pt: it is "):
            fastnn.load_state(tmp_path / "w.pt")
    (tmp_path / "w.pt").write_bytes(content.replace(struct.pack("<f", 5), struct.pack("<f", 6)))
    with pytest.raises(ValueError, match="damaged: Bad CRC"):
        fastnn.load_state(tmp_path / "w.pt")
    deep = b"\x80\x02" + b"(" * 10**5 + b"t" * 10**5 + b"."
    assert isinstance(fastnn.load_state(archive(tmp_path / "w.pt", deep)), tuple)


def test_old_files_that_are_cut(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    held = io.BytesIO()
    torch.save({"w": torch.ones(2, 3)}, held, _use_new_zipfile_serialization=False)
    content = held.getvalue()
    for n in range(20, len(content), 5):
        (tmp_path / "w.pt").write_bytes(content[:n])
        with pytest.raises(ValueError, match=r"w\.pt: it is "):
            fastnn.load_state(tmp_path / "w.pt")


def test_what_is_no_state_dict(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds a dict with the keys 'epoch', 'w', and no state_dict; fastnn.load_state"):
        nn.Linear(3, 2).load_weights(archive(tmp_path / "w.pt", {"epoch": 3, "w": Tensor()}))
    with pytest.raises(ValueError, match="holds a list"):
        nn.Linear(3, 2).load_weights(archive(tmp_path / "w.pt", [Tensor()]))
    with pytest.raises(KeyError, match="unknown"):
        nn.Linear(3, 2).load_weights(archive(tmp_path / "w.pt", {"w": Tensor()}))
