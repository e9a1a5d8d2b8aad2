"""The contract: every backend has the spec's kernels with the spec's arguments, and the binding lets nothing else through."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import TESTS
from cases.case import Case, Values

from fastnn.backends import backends, cpp, isas, load, spec, unavailable, use_isa
from fastnn.backends.reference import functions
from fastnn.backends.spec import KERNELS, LINEAR, Arg
from fastnn.backends.spec.formula import Formula
from fastnn.backends.spec.grammar import read

compiled = pytest.mark.skipif(bool(unavailable("cpp")), reason="no compiled kernels")
ISAS = [name for name, lacking in isas().items() if not lacking]


@pytest.mark.parametrize("name", [b.name for b in backends().values() if b.available])
def test_backends_have_the_kernels_of_the_spec(name: str) -> None:
    backend = load(name)
    assert set(backend.table) == set(KERNELS)
    assert all(getattr(backend, kernel) is backend.table[kernel] for kernel in KERNELS)
    with pytest.raises(AttributeError, match="no kernel 'matmul'"):
        backend.matmul  # noqa: B018


@pytest.mark.parametrize("kernel", KERNELS)
def test_reference_has_the_arguments_of_the_spec(kernel: str) -> None:
    function = functions()[kernel]
    assert list(inspect.signature(function).parameters) == ["xp", *(a.name for a in KERNELS[kernel].args)]
    assert function.__doc__, "what the kernel means"


@pytest.mark.parametrize("name", [b.name for b in backends().values() if b.native])
def test_native_backends_have_no_gap(name: str) -> None:
    assert backends()[name].native == set(KERNELS)


@pytest.mark.skipif(bool(unavailable("numba")), reason="numba is not installed")
@pytest.mark.parametrize("kernel", KERNELS)
def test_numba_has_the_arguments_of_the_spec(kernel: str) -> None:
    names = list(inspect.signature(load("numba").table[kernel]).parameters)
    assert [name for name in names if name != "xp"] == [a.name for a in KERNELS[kernel].args]  # the reference's own have xp


@compiled
@pytest.mark.parametrize("isa", ISAS)
def test_compiled_arguments_are_those_of_the_spec(isa: str) -> None:
    from fastnn import _core

    before = _core.isa()
    use_isa(isa)
    try:
        assert dict(_core.kernels()) == {name: kernel.slots for name, kernel in KERNELS.items()}
    finally:
        use_isa(before)


def _first_case(kernel: str) -> Case:
    """The first case of a kernel in which no array is absent or without elements."""
    cases = [c for c in TESTS if c.kernel == kernel and all(n > 1 for n in c.sizes.values())]
    return min(cases, key=lambda c: len(c.absent))


def _call(case: Case, values: Values) -> None:
    getattr(load("cpp"), case.kernel)(*values.values())


def _strided(a: np.ndarray[Any, Any]) -> Any:
    return np.repeat(a, 2, -1)[..., ::2]


def _read_only(a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    a.flags.writeable = False
    return a


def _misaligned(a: np.ndarray[Any, Any]) -> Any:
    buffer = np.zeros(a.nbytes + 1, np.uint8)
    return buffer[1:].view(a.dtype).reshape(a.shape)


WRONG: dict[str, tuple[Callable[[Any], Any], type[Exception]]] = {
    "None": (lambda a: None, TypeError),
    "a string": (lambda a: "x", TypeError),
    "a list": (lambda a: a.tolist(), TypeError),
    "a number": (lambda a: 1.0, TypeError),
    "another dtype": (lambda a: np.zeros(a.shape, np.float16), TypeError),
    "complex": (lambda a: np.zeros(a.shape, np.complex64), TypeError),
    "objects": (lambda a: a.astype(object), TypeError),
    "big-endian": (lambda a: a.astype(a.dtype.newbyteorder(">")), TypeError),
    "one dimension more": (lambda a: a[None], ValueError),
    "one element more": (lambda a: np.concatenate([a, a[-1:]]), ValueError),
    "not contiguous": (_strided, ValueError),
    "misaligned": (_misaligned, ValueError),
    "read-only": (_read_only, ValueError),
}


def _applies(wrong: str, arg: Arg, case: Case, a: np.ndarray[Any, Any]) -> bool:
    """Whether an argument can be wrong in this way."""
    flat = arg.shape[0].startswith("*")
    symbols = [s.lstrip("*") for other in case.spec.arrays if other.name not in case.absent for s in other.shape]
    first = arg.shape[0].lstrip("*")
    if wrong == "read-only":
        return arg.writes
    if wrong in ("big-endian", "misaligned"):
        return a.itemsize > 1
    if wrong == "not contiguous":
        return bool(a.shape[-1] > 1)
    if wrong == "one dimension more":
        return not flat
    if wrong == "one element more":  # a size that no other array shares may be anything
        return first.isdigit() or symbols.count(first) > 1
    return True


@compiled
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("kernel", KERNELS)
def test_binding_refuses_arrays(kernel: str, wrong: str) -> None:
    """Each array in turn is wrong; the error names the kernel and an argument."""
    case = _first_case(kernel)
    change, error = WRONG[wrong]
    values = case.make(case.dtypes[0])
    names = "|".join(a.name for a in case.spec.arrays)
    for arg in case.spec.arrays:
        if arg.name in case.absent or not _applies(wrong, arg, case, values[arg.name]):
            continue
        with pytest.raises(error, match=rf"^{kernel}: ({names}) "):
            _call(case, values | {arg.name: change(values[arg.name].copy())})


@compiled
@pytest.mark.parametrize("kernel", KERNELS)
def test_binding_refuses_mixed_dtypes_and_wrong_counts(kernel: str) -> None:
    case = _first_case(kernel)
    values = case.make(case.dtypes[0])
    call = getattr(load("cpp"), kernel)
    for args in ([], list(values.values())[:-1], [*values.values(), 0]):
        with pytest.raises(TypeError, match=rf"^{kernel}: {len(args)} arguments, wanted {len(values)}"):
            call(*args)
    common = [a.name for a in case.spec.arrays if a.letter == "T" and a.name not in case.absent]
    for name in common if len(common) > 1 else ():
        with pytest.raises(TypeError, match=rf"^{kernel}: \w+ is an array of dtype"):
            _call(case, values | {name: values[name].astype(np.float64)})


@compiled
@pytest.mark.parametrize("kernel", [k.name for k in KERNELS.values() if any(a.kind != "array" for a in k.args)])
def test_binding_refuses_scalars(kernel: str) -> None:
    case = _first_case(kernel)
    values = case.make(case.dtypes[0])
    for arg in (a for a in case.spec.args if a.kind != "array"):
        for bad in (None, "x", np.zeros(3, np.float32), *((1.5,) if arg.kind == "int" else ())):
            with pytest.raises(TypeError):
                _call(case, values | {arg.name: bad})


@compiled
def test_every_optional_array_may_be_absent() -> None:
    """An array of size 0 stands for an absent one, and only where the spec says so."""
    k, empty = load("cpp"), np.empty(0, np.float32)
    x, w, y = (np.ones(shape, np.float32) for shape in ((2, 3), (3, 4), (2, 4)))
    k.dense_forward(y, empty, x, w, empty, LINEAR, 0)
    assert (y == 3).all()
    with pytest.raises(ValueError, match=r"^dense_forward: w has shape \(0,\), wanted \(K = 3, N = 4\)"):
        k.dense_forward(y, empty, x, empty, empty, LINEAR, 0)


@compiled
@pytest.mark.parametrize(
    ("name", "other", "words"),
    [
        ("ACTIVATIONS", spec.ACTIVATIONS[:-1], "has .* activations, spec.ACTIVATIONS"),
        ("ACTIVATIONS", tuple(kind._replace(saves_z=True) for kind in spec.ACTIVATIONS), "saves_z of linear is False"),
        ("POINTWISE_LOSSES", spec.POINTWISE_LOSSES[:-1], "has .* losses, spec.POINTWISE_LOSSES"),
    ],
    ids=["number", "saves_z", "losses"],
)
def test_compiled_functions_are_those_of_the_specification(
    name: str, other: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpp.load()
    monkeypatch.setattr(cpp, name, other)
    with pytest.raises(RuntimeError, match=words):
        cpp.load()


@compiled
@pytest.mark.parametrize("number", [-1, 10**6])
def test_a_function_that_there_is_not(number: int) -> None:
    k, x = load("cpp"), np.ones((2, 3))
    with pytest.raises(ValueError, match=f"activation_forward: act is function {number}, but there are"):
        k.activation_forward(np.empty((2, 3)), x, spec.Activation(number))
    with pytest.raises(ValueError, match=f"pointwise_loss_forward: fn is function {number}, but there are"):
        k.pointwise_loss_forward(np.empty(2), x, x, k.absent, k.absent, spec.PointwiseLoss(number))


@compiled
def test_the_binding_checks_choices_numbers_and_masks() -> None:
    k, x = load("cpp"), np.ones((2, 3))
    z, layout = np.empty(6), np.zeros((3, 1), np.int64)
    with pytest.raises(ValueError, match=r"^binary_forward: op is 7, wanted 0 for add, 1 for sub, .*, 6 for minimum"):
        k.binary_forward(z, x, x, layout, 7)
    with pytest.raises(ValueError, match=r"^binary_forward: op is -1, wanted"):
        k.binary_forward(z, x, x, layout, -1)
    with pytest.raises(ValueError, match=r"^error_metric: power is 3, which it cannot be"):
        k.error_metric(np.zeros(2), x, x, k.absent, 3)
    with pytest.raises(ValueError, match=r"^prelu_backward: add is 1, which has bits of outputs that nothing can be added to"):
        k.prelu_backward(np.empty((2, 3)), np.zeros(3), x, x, np.ones(3), 1)


@compiled
def test_the_binding_checks_sizes_that_follow_from_others(tmp_path: Any) -> None:
    """In a process of its own, as a binding replaces the one before it: c of a product is given a formula for its columns."""
    program = """
import numpy as np
from fastnn import _core
from fastnn.backends.spec import KERNELS
from fastnn.backends.spec.formula import Formula

def bind(**formulas):
    return _core.bind(KERNELS["matmul_nn"]._replace(formulas={name: Formula(text) for name, text in formulas.items()}))

a, b, c = np.ones((2, 7)), np.ones((7, 4)), np.empty((2, 4))
bind(N="(K + 2*1 - 3)/precision + 1")
for formula, words in (
    ("(K - 3)/2 + 2", ""),  # 7 - 3 = 4: N = 4
    ("(K - 2)/2 + 3", "matmul_nn: the arrays have N = 4, wanted (K - 2)/2 + 3 = 5"),
    ("(M - K)/2 + 7", ""),  # -5 / 2 is -3, as it rounds down
    ("K/precision", "matmul_nn: N = K/precision divides by 0"),
):
    try:
        bind(N=formula)(c, a, b, 1.0, 0.0, 0)
        found = ""
    except ValueError as error:
        found = str(error)
    assert found == words, (formula, found)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)


def test_formulas_round_down_and_name_what_they_cannot_read() -> None:
    assert Formula("(H + 2*P - KH)/S + 1")({"H": 7, "P": 1, "KH": 3, "S": 2}) == 4
    assert Formula("(M - 7)/2")({"M": 2}) == -3
    for text in ("f(x)", "x ** 2", "x and y", "1.5 * x", "-x"):
        with pytest.raises(ValueError, match="cannot read"):
            Formula(text)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("f y:Q[M] <- x:T[M]", "y has dtype 'Q', wanted T, N, A"),
        ("f y:T[M] <- x:T[M] op:OPS", "cannot read 'op:OPS'"),
        ("f y:T[M] alpha:float <- x:T[M]", "cannot read 'alpha:float'"),
        ("f y:T[M] <- x:T[M] | Q=M+1", "a formula of 'Q', which is no size"),
        ("f y:T[M,N] <- x:T[M] | N=M+K", "names 'K', which the line does not have"),
    ],
)
def test_lines_that_do_not_follow_the_grammar(line: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read("family", line, {})


def test_a_line_with_everything_in_it() -> None:
    """Many arrays and sizes, derived sizes, a choice, a mask and an array that chooses its dtype."""
    arrays = " ".join(f"x{i}:T[A{i},{i}]" for i in range(1, 20))
    kernel = read(
        "family",
        f"f y:to[*n] &s:T[M]? aux:own[*L]? <- {arrays} ids:i64[M] to:TYPES mode:1|2 add:mask | n=A1*A2+M flops=2*n*s",
        {"TYPES": ("float32", "int64")},
    )
    assert len(kernel.arrays) == 23 and len(kernel.sizes) == 22
    assert list(kernel.derived) == ["n"] and [a.name for a in kernel.outputs] == ["y", "s", "aux"]
    args = [np.zeros(9), np.zeros(5), np.zeros(0), *(np.zeros((2, i)) for i in range(1, 20)), np.zeros(5, np.int64), 1, 2, 2]
    values = kernel.values(args)
    assert values["n"] == kernel.derived["n"](values) == 9 and values["aux"] == 0 and values["s"] == 1
    assert kernel.formulas["flops"](values) == 18
