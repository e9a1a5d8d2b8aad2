"""Writing files: where they go, what stays as it was whatever happens, and what no file can hold."""

import copy
import errno
import io
import json
import os
import pickle
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interrupt import Interrupt

import fastnn
import fastnn.nn as nn
from fastnn.files import place, tensors


def small() -> fastnn.Sequential:
    return fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])


WRITERS = {
    "save": lambda path: small().save(path),
    "save_weights": lambda path: small().save_weights(path),
    "ModelCheckpoint": lambda path: checkpoint(path),
}


def checkpoint(path: Any) -> None:
    model = small()
    model.compile("sgd", "mse")
    model.fit(np.zeros((2, 3)), np.zeros((2, 2)), verbose=0, callbacks=fastnn.callbacks.ModelCheckpoint(path))


@pytest.fixture(params=WRITERS)
def writer(request: Any) -> Any:
    return WRITERS[request.param]


def test_a_link_stays_a_link(writer: Any, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "real").write_text("old")
    (tmp_path / "link").symlink_to("folder/real")
    (tmp_path / "new").symlink_to("folder/fresh")
    for link, target in (("link", "real"), ("new", "fresh")):
        writer(tmp_path / link)
        assert (tmp_path / link).is_symlink()
        small().load_weights(tmp_path / "folder" / target)
    assert sorted(p.name for p in (tmp_path / "folder").iterdir()) == ["fresh", "real"]


def test_what_is_no_plain_file_is_not_replaced(writer: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for path in ("pipe", "folder", "new/", ".", "loop"):
        with pytest.raises(OSError):
            writer(f"{tmp_path}/{path}")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode) and (tmp_path / "folder").is_dir()
    assert {p.name for p in tmp_path.iterdir() if not p.is_dir()} == {"loop", "pipe"}


def test_an_empty_path() -> None:
    with pytest.raises(FileNotFoundError, match="the path is empty"):
        small().save("")
    with pytest.raises(FileNotFoundError, match="the path is empty"):
        fastnn.load("")


def test_what_the_format_has_no_name_for(tmp_path: Path) -> None:
    for name, a, words in (("a", np.zeros(2, np.complex64), "'a' is complex64; wanted"), ("__metadata__", np.zeros(2), "named")):
        with pytest.raises(ValueError, match=f"save: .*{words}"):
            tensors.save(tmp_path / "m", {name: a}, {}, "save")
    with pytest.raises(ValueError, match=r"save: 1 arrays and 100000000 bytes of settings make no file: .*header too large"):
        tensors.save(tmp_path / "m", {"a": np.zeros(2)}, {"k": "v" * 100_000_000}, "save")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is bounded by /proc and RLIMIT_AS")
def test_memory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Neither writing nor reading ends the process."""
    code = """
import fastnn, resource, sys
m = fastnn.Sequential([fastnn.Dense(2000, input_shape=(2000,), kernel_initializer="zeros")])
uses = lambda: m.save(sys.argv[1]), lambda: fastnn.load(sys.argv[1])
[use() for use in uses]
print([attempt(use, mb) for use in uses for mb in (4, 12, 20, 28, 36, 60)])
"""
    attempt = """
def attempt(use, mb):
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + (mb << 20), limits[1]))
    try:
        return use() and None
    except MemoryError:
        return mb
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
"""
    done = subprocess.run([sys.executable, "-c", attempt + code, tmp_path / "m"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    failed = [mb for mb in json.loads(done.stdout.replace("None", "0")) if mb]
    assert 4 in failed and 60 not in failed and len(failed) < 12
    fastnn.load(tmp_path / "m")


@pytest.mark.parametrize("path", [3, None, True, io.BytesIO(), 1.5])
def test_what_is_no_path(writer: Any, path: Any) -> None:
    for use in (writer, fastnn.load, small().load_weights, fastnn.callbacks.CSVLogger):
        with pytest.raises(TypeError, match=f": {type(path).__name__} came, wanted the name of a file"):
            use(path)


@pytest.mark.parametrize("path", ["a\0b", "\ud800"])
def test_what_no_file_can_be_named(writer: Any, path: str) -> None:
    for use in (writer, fastnn.load, fastnn.callbacks.CSVLogger):
        with pytest.raises(ValueError, match=r": no file can be named '(a\\x00b|\\ud800)'"):
            use(path)


def test_errors_of_the_system_name_the_operation_and_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ("x" * 256)
    for use, words in ((small().save, "save: .*xxx cannot be written"), (fastnn.load, "load: .*xxx cannot be read")):
        with pytest.raises(OSError, match=f"{words}: File name too long") as info:
            use(path)
        assert info.value.errno == errno.ENAMETOOLONG

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"save_weights: .*/w cannot be written: No space left on device") as info:
        small().save_weights(tmp_path / "w")
    assert info.value.errno == errno.ENOSPC and not list(tmp_path.iterdir())


def test_mode_and_mask(writer: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.touch()
    secret.chmod(0o600)
    before = os.umask(0o027)
    try:
        writer(secret)
        writer(tmp_path / "new")
    finally:
        assert os.umask(before) == 0o027
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_stays(tmp_path: Path) -> None:
    small().save(tmp_path / "m")
    os.chown(tmp_path / "m", 1234, 4321)
    small().save(tmp_path / "m")
    assert ((s := (tmp_path / "m").stat()).st_uid, s.st_gid) == (1234, 4321)


def test_a_group_that_cannot_be_kept_gets_no_more_than_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError

    small().save(tmp_path / "m")
    (tmp_path / "m").chmod(0o664)
    status = os.stat_result((*(tmp_path / "m").stat()[:4], 1234, 4321, *(tmp_path / "m").stat()[6:]))
    monkeypatch.setattr(place, "_status", lambda path: status)
    monkeypatch.setattr(os, "fchown", refuse)
    small().save(tmp_path / "m")
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o644


def test_names_of_any_length(tmp_path: Path) -> None:
    for name in ("a" * 255, "ä" * 127, "a b\n'\"", ".hidden", "m.fastnn.1"):
        small().save(tmp_path / name)
        fastnn.load(tmp_path / name)
    small().save(os.fsencode(tmp_path / "bytes"))
    fastnn.load(os.fsencode(tmp_path / "bytes"))


def test_what_dead_processes_left_is_swept(tmp_path: Path) -> None:
    stale, alive, other = (tmp_path / name for name in (f".fastnn-{'0' * 16}.tmp", f".fastnn-{'1' * 16}.tmp", ".fastnn-x.tmp"))
    for path in (stale, alive, other):
        path.touch()
    with alive.open() as f:
        assert place._lock(f)  # type: ignore[arg-type]
        small().save(tmp_path / "m")
    assert sorted(p.name for p in tmp_path.iterdir()) == [alive.name, other.name, "m"]


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imitate a system without locks of files, owners and modes, on which only closed files can be renamed."""
    real = os.replace

    def replace(source: Any, target: Any) -> None:
        open_here = (
            {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()} if os.path.exists("/proc/self/fd") else set()
        )
        if {os.path.realpath(source), os.path.realpath(target)} & open_here:
            raise PermissionError(errno.EACCES, "Access is denied")
        real(source, target)

    monkeypatch.setattr(place, "_WINDOWS", True)
    monkeypatch.setattr(place, "_PATIENCE", 0.2)
    monkeypatch.setattr(place, "fcntl", None)
    monkeypatch.setattr(os, "replace", replace)
    for name in ("fchmod", "fchown", "geteuid", "register_at_fork", "sched_getaffinity"):
        monkeypatch.delattr(os, name, raising=False)


def test_saving_on_windows(windows: None, writer: Any, tmp_path: Path) -> None:
    for _ in range(2):
        writer(tmp_path / "m")
        small().load_weights(tmp_path / "m")
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs the list of open files")
def test_saving_on_windows_waits_for_readers(windows: None, tmp_path: Path) -> None:
    small().save(tmp_path / "m")
    before, says = (
        (tmp_path / "m").read_bytes(),
        r"save: .*m cannot be written: a program, perhaps this one, has the old file open",
    )
    with (tmp_path / "m").open("rb") as reader:
        with pytest.raises(PermissionError, match=says):
            small().save(tmp_path / "m")
        assert (tmp_path / "m").read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["m"]
        done = threading.Timer(0.05, reader.close)
        done.start()
        small().save(tmp_path / "m")
        done.join()
    small().load_weights(tmp_path / "m")


def test_an_interrupt_anywhere_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """At every entry of a function of ours, one after the other."""
    old, new = small(), small()
    old.save(tmp_path / "m")
    contents = [(tmp_path / "m").read_bytes()]
    new.save(tmp_path / "m")
    contents.append((tmp_path / "m").read_bytes())
    interrupt = Interrupt(1, os.path.dirname(place.__file__))
    while interrupt.run(lambda: new.save(tmp_path / "m")):
        assert (tmp_path / "m").read_bytes() in contents
        assert [p.name for p in tmp_path.iterdir()] == ["m"]
        old.save(tmp_path / "m")
        interrupt = Interrupt(interrupt.n + 1, interrupt.files)
    assert interrupt.n > 5 and (tmp_path / "m").read_bytes() == contents[1]


def test_threads_save_into_one_folder(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def run(i: int) -> None:
        try:
            for _ in range(10):
                small().save(tmp_path / f"m{i % 2}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors and sorted(p.name for p in tmp_path.iterdir()) == ["m0", "m1"]


@pytest.mark.parametrize(
    "suffix", [".keras", ".weights.h5", ".hdf5", ".PT", ".pth", ".ckpt", ".onnx", ".pkl", ".joblib", ".gguf", ".npz"]
)
def test_suffixes_of_others_are_refused(writer: Any, suffix: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"name it .*m\.fastnn or .*m\.safetensors"):
        writer(tmp_path / f"m{suffix}")
    assert not list(tmp_path.iterdir())


# What a file cannot hold.


def own_weight(m: Any) -> None:
    m[0].scale = nn.Parameter(np.ones(2, np.float32))


def weight_of_another_shape(m: Any) -> None:
    m[0].weight, m[0].bias = nn.Parameter(np.ones((5, 3), np.float32)), nn.Parameter(np.ones(5, np.float32))


CHANGES: dict[str, tuple[Any, str]] = {
    "a parameter of the user's own": (own_weight, r"0\.scale is float32 of shape \(2,\), and would be missing"),
    "a buffer": (lambda m: m.register_buffer("seen", np.zeros(1)), "seen is .*, and would be missing"),
    "no bias": (lambda m: setattr(m[0], "bias", None), "bias|a parameter of shape"),
    "another shape": (weight_of_another_shape, r"model\.layers\[0\]: Linear: |0\.weight is"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_model_that_a_file_cannot_hold_is_refused(kind: str, tmp_path: Path) -> None:
    """What save writes, load reads: layers were changed into others than their arguments make."""
    change, words = CHANGES[kind]
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), nn.Dropout(0.5))
    model.save(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    change(model)
    with pytest.raises(ValueError, match=f"save: load could not make the model again: .*{words}.*; use save_weights"):
        model.save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == before
    model.save_weights(tmp_path / "w")


@pytest.mark.parametrize(
    "change",
    [lambda m: setattr(m, "other", nn.Linear(2, 2)), lambda m: delattr(m, "0"), lambda m: delattr(m, "1")],
    ids=["a layer of another name", "a layer less", "an activation less"],
)
def test_layers_keep_their_names_in_files(change: Any, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2), nn.Dropout(0.5))
    change(model)
    model.eval()
    model.save(tmp_path / "m")
    loaded = fastnn.load(tmp_path / "m").eval()
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    assert [*dict(loaded.named_children())] == [*dict(model.named_children())]
    np.testing.assert_array_equal(loaded(x).numpy(), model(x).numpy())


def test_shapes_that_change_after_a_first_save_are_noticed(tmp_path: Path) -> None:
    model = small()
    model.save(tmp_path / "m")
    model[0].bias.data = np.ones(3, np.float32)
    with pytest.raises(ValueError, match=r"0\.bias is float32 of shape \(3,\), and would be float32 of shape \(2,\)"):
        model.save(tmp_path / "m")


@pytest.mark.parametrize("rule", ["kernel_regularizer", "kernel_constraint"])
def test_a_rule_that_is_a_function_is_refused(rule: str, tmp_path: Path) -> None:
    model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,), **{rule: lambda w: w})])
    with pytest.raises(
        TypeError, match=r"save: Dense: .*FromFunction.* not registered and cannot be saved; put @fastnn.reg.* use save_weights"
    ):
        model.save(tmp_path / "m")


def test_a_graph_with_a_layer_that_nothing_calls_is_refused(tmp_path: Path) -> None:
    x = fastnn.Input((3,))
    model = fastnn.Model(x, fastnn.Dense(2)(x))
    model.extra = fastnn.Dense(2, input_shape=(3,))
    with pytest.raises(ValueError, match=r"extra\.kernel is float32 of shape \(3, 2\), and would be missing"):
        model.save(tmp_path / "m")


def test_a_forward_of_the_users_own_is_refused(tmp_path: Path) -> None:
    model = small()
    model[0].forward = lambda x: x
    with pytest.raises(TypeError, match="the forward of a Dense was replaced"):
        model.save(tmp_path / "m")


def test_saving_draws_no_random_numbers(tmp_path: Path) -> None:
    model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,)), fastnn.Dropout(0.5), fastnn.GaussianNoise(0.1)])
    drawn = []
    for use in (lambda: None, lambda: model.save(tmp_path / "m"), lambda: fastnn.load(tmp_path / "m")):
        fastnn.seed(1)
        use()
        drawn.append(fastnn.Dense(2, input_shape=(3,)).get_weights()[0].tolist())
    assert drawn[0] == drawn[1] == drawn[2]


def test_class_names_are_saved_and_copied(tmp_path: Path) -> None:
    model = small()
    assert model.class_names is None
    model.class_names = ("cat", "dog")
    model.trained_on = "drawings"
    model.save(tmp_path / "m")
    again = fastnn.load(tmp_path / "m")
    for copied in (again, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert copied.class_names == ["cat", "dog"] and copied.trained_on == "drawings"
    again.class_names = None
    again.save(tmp_path / "m")
    assert fastnn.load(tmp_path / "m").class_names is None


@pytest.mark.parametrize("names", ["cat", [1], ["cat", "cat"], [""], ["a\nb"], {"cat": 1}])
def test_bad_class_names(names: Any, tmp_path: Path) -> None:
    model = small()
    with pytest.raises((TypeError, ValueError), match="Sequential: class_names"):
        model.class_names = names
    model.class_names = ["cat"]
    model.class_names.append(5)
    with pytest.raises(TypeError, match="save: class_names"):
        model.save(tmp_path / "m")
