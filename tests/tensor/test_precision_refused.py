"""Where products of other precisions are refused: on backends and CPUs that lack them, and by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from rounding import LABELS, PLAIN, SHORT, X, bits, classifier, product_of_third

import fastnn
from fastnn.backends import get_isa, isas, unavailable, use_isa

needs_cpp = pytest.mark.skipif(bool(unavailable("cpp")), reason="this installation has no compiled kernels")


@pytest.fixture(autouse=True)
def isa_is_put_back() -> Iterator[None]:
    before = get_isa()
    yield
    if before != "none":
        use_isa(before)


@pytest.mark.parametrize("dtype", ["float16", "bf16", "", None, np.float32])
def test_unknown_names(dtype: Any) -> None:
    with pytest.raises(ValueError, match=r"^autocast: dtype is .*; there are: float32, bfloat16, tf32$"):
        fastnn.autocast(dtype)
    with pytest.raises(ValueError, match=r"^compile: dtype is .*; there are: float32, bfloat16, tf32$"):
        classifier(dtype)


def refused(why: str) -> None:
    """Everything that is refused, with the reason."""
    for op, call in (("autocast", lambda: fastnn.autocast("bfloat16")), ("compile", classifier)):
        with pytest.raises(RuntimeError, match=rf"^{op}: dtype 'bfloat16' is not available here: .*{why}"):
            call()
    lacking = fastnn.info().precisions["bfloat16"]
    assert why in lacking and f"bfloat16 not available: {lacking}" in str(fastnn.info())
    with fastnn.autocast("float32"):
        assert product_of_third() == pytest.approx(PLAIN)
    classifier("float32").fit(X, LABELS, verbose=0)


def test_the_reference_refuses() -> None:
    with fastnn.use_backend("numpy"):
        refused("the numpy backend has no products of bfloat16")


@pytest.mark.parametrize("backend", ["numpy", pytest.param("cpp", marks=needs_cpp)])
def test_cpus_have_no_tf32(backend: str) -> None:
    """Nor is anything done in float32 instead."""
    with fastnn.use_backend(backend):
        for op, call in (("autocast", fastnn.autocast), ("compile", classifier)):
            with pytest.raises(
                RuntimeError, match=rf"^{op}: dtype 'tf32' is not available here: tf32 is a format of NVIDIA GPUs"
            ):
                call("tf32")
        assert f"tf32     not available: {fastnn.info().precisions['tf32']}" in str(fastnn.info())


@needs_cpp
@pytest.mark.parametrize("isa", ["avx2", "base"])
def test_other_kernels_refuse(isa: str) -> None:
    if isas().get(isa, "not there"):
        isa = "base"  # which every machine has
    use_isa(isa)
    with fastnn.use_backend("cpp"):
        refused(f"AVX512_BF16 and the avx512 kernels; {isa} is in use")


@needs_cpp
def test_where_the_cpu_multiplies_it_nothing_is_refused() -> None:
    with fastnn.use_backend("cpp"):
        use_isa(next(name for name, reason in isas().items() if not reason))
        if fastnn.info().precisions["bfloat16"]:
            refused("need a CPU with AVX512_BF16")
        else:
            with fastnn.autocast():
                assert product_of_third() == pytest.approx(SHORT)
            classifier().fit(X, LABELS, verbose=0)
            assert "bfloat16 available" in str(fastnn.info())


@needs_cpp
@pytest.mark.parametrize("switch", ["numpy", "base"])
def test_a_switch_after_compile_is_refused(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by the batch steps that were recorded before."""
    from fastnn import _core

    best = next(name for name, reason in isas().items() if not reason)
    monkeypatch.setattr(_core, "bf16", lambda: _core.isa() == best)  # as if this CPU had it
    with fastnn.use_backend("cpp"), ExitStack() as switched:
        use_isa(best)
        model, block = classifier(), fastnn.autocast("bfloat16")
        for _ in range(4):
            model.train_on_batch(X, LABELS)
        before = bits(model)
        if switch == "numpy" or best == "base":
            switched.enter_context(fastnn.use_backend("numpy"))
        else:
            use_isa(switch)
        for call in (
            lambda: model.fit(X, LABELS, verbose=0),
            lambda: model.train_on_batch(X, LABELS),
            lambda: model.profile(X, LABELS, print_fn=None),
        ):
            with pytest.raises(RuntimeError, match=r"^fit: dtype 'bfloat16' is not available here"):
                call()
        with pytest.raises(RuntimeError, match=r"^autocast: "), block:
            pass
        assert product_of_third() == pytest.approx(PLAIN)
        assert bits(model) == before
        model.evaluate(X, LABELS, verbose=0)
        switched.close()
        use_isa(best)
        model.train_on_batch(X, LABELS)
        assert bits(model) != before
