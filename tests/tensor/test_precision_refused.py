"""Where products of other precisions are refused: on backends and CPUs that lack them, and by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from engines import engine, engines
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


def rounds() -> str:
    """Check that products are rounded and models train; return what computes the products."""
    with fastnn.autocast():
        assert product_of_third() == pytest.approx(SHORT)
    classifier().fit(X, LABELS, verbose=0)
    text = fastnn.info().engines["bfloat16"]
    assert f"bfloat16 available: {text}\n" in str(fastnn.info())
    return text


@needs_cpp
@pytest.mark.parametrize("isa", ["avx512", "avx2", "base"])
def test_every_cpu_has_bfloat16(isa: str) -> None:
    if isas().get(isa, "not there"):
        isa = "base"  # which every machine has
    use_isa(isa)
    with fastnn.use_backend("cpp"):
        text = rounds()
        assert isa == "avx512" or text == "float32 on rounded factors; no faster than float32"


ENGINES = engines()


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine(name: str) -> None:
    with fastnn.use_backend("cpp"), engine(name):
        text = rounds()
        rate = r"measured \d\.\dx the multiply-adds of float32"
        want = {
            "amx": "AMX",
            "avx512_bf16": f"AVX512_BF16, {rate}",
            "float32": f"float32 on rounded factors; (AVX512_BF16 {rate}|no faster than float32)",
        }
        assert re.fullmatch(want[name], text)


@needs_cpp
def test_the_automatic_engine_is_the_best_one() -> None:
    from fastnn import _core

    with engine(""):
        name, rate, lacking = _core.bf16()
    assert not lacking and rate >= 0
    best = "amx" if "amx" in ENGINES else "avx512_bf16" if "avx512_bf16" in ENGINES and rate > 1 else "float32"
    assert name == best


@needs_cpp
@pytest.mark.parametrize("name", ["amx", "avx512_bf16"])
def test_an_engine_that_was_requested_is_never_replaced(name: str) -> None:
    """It needs the kernels of avx512; float32 is not used instead."""
    from fastnn import _core

    why = f"{name} needs a CPU with .*"
    with fastnn.use_backend("cpp"):
        if name in ENGINES:
            with engine(name):
                use_isa("base")
                refused(f"{name} needs a CPU with AVX512_BF16 and the avx512 kernels; base is in use")
        use_isa("base")
        with pytest.raises(ValueError, match=why):
            _core.use_bf16(name)
        rounds()


@needs_cpp
@pytest.mark.parametrize("switch", ["numpy", "base"])
def test_a_switch_after_compile_is_refused(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by the batch steps that were recorded before."""
    from fastnn import _core

    best = next(name for name, reason in isas().items() if not reason)
    # As if an engine had been requested that this CPU has.
    monkeypatch.setattr(_core, "bf16", lambda: ("amx", 0.0, "" if _core.isa() == best else "amx needs other kernels"))
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
