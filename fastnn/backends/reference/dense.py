"""Matrix products and the dense layer."""

from __future__ import annotations

from typing import Any

from ..spec import LINEAR, PRECISIONS, Activation
from .activation import backward, forward

Array = Any  # numpy.ndarray or cupy.ndarray


def matmul_nn(xp: Any, c: Array, a: Array, b: Array, alpha: float, beta: float, precision: int) -> None:
    """c = alpha a b + beta c; with beta = 0, c is only written. ``precision`` says what a and b are rounded to."""
    _update(c, _product(xp, a, b, precision), alpha, beta)


def matmul_nt(xp: Any, c: Array, a: Array, b: Array, alpha: float, beta: float, precision: int) -> None:
    """c = alpha a b^T + beta c; with beta = 0, c is only written. ``precision`` says what a and b are rounded to."""
    _update(c, _product(xp, a, b.T, precision), alpha, beta)


def matmul_tn(xp: Any, c: Array, a: Array, b: Array, alpha: float, beta: float, precision: int) -> None:
    """c = alpha a^T b + beta c; with beta = 0, c is only written. ``precision`` says what a and b are rounded to."""
    _update(c, _product(xp, a.T, b, precision), alpha, beta)


def _product(xp: Any, a: Array, b: Array, precision: int) -> Array:
    return rounded(xp, a, precision) @ rounded(xp, b, precision)


def rounded(xp: Any, a: Array, precision: int) -> Array:
    """To the nearest float32 whose last bits are zero: 16 for bfloat16, ties to even; 13 for tf32, ties away from zero, as the
    GPU's own conversion has it. NaN stays NaN."""
    if not precision:
        return a
    bits = xp.ascontiguousarray(a, dtype=xp.float32).view(xp.uint32)
    if PRECISIONS[precision] == "bfloat16":
        bits = (bits + (0x7FFF + ((bits >> 16) & 1))) & 0xFFFF0000
    else:
        bits = (bits + 0x1000) & 0xFFFFE000
    return xp.where(xp.isnan(a), a, bits.astype(xp.uint32).view(xp.float32).astype(a.dtype))


def _update(c: Array, product: Array, alpha: float, beta: float) -> None:
    c[...] = alpha * product if beta == 0 else alpha * product + beta * c


def dense_forward(xp: Any, y: Array, aux: Array, x: Array, w: Array, b: Array, act: Activation, precision: int) -> None:
    """y = act(x w + b): x (M, K), w (K, N), b (N,) or absent. Where aux is present it gets z = x w + b.

    ``precision`` says what x and w are rounded to.
    """
    z = _product(xp, x, w, precision)
    if b.size:
        z = z + b
    y[...] = forward(xp, z, act)
    if aux.size:
        aux[...] = z


def dense_forward_aux(m: int, n: int, k: int, dtype: Any, act: Activation, precision: int) -> tuple[Any, Any] | None:
    """Return the shape and dtype of z, which is kept for the functions whose slope needs it."""
    return ((m, n), dtype) if act.saves_z else None


def dense_backward(
    xp: Any,
    dx: Array,
    dw: Array,
    db: Array,
    dz: Array,
    dy: Array,
    x: Array,
    w: Array,
    y: Array,
    aux: Array,
    act: Activation,
    add: int,
    precision: int,
) -> None:
    """dz = dy act'(z); dx = dz w^T, dw = x^T dz, db = column sums of dz.

    Of dx, dw and db those that are absent are not wanted; bits 1 and 2 of ``add`` add dw and db to what is there.
    z is aux for the functions that save it, else recovered from y. dz is scratch, absent for a linear layer (dz is dy).
    ``precision`` says what the factors of the products are rounded to.
    """
    if act.id == LINEAR.id:
        dz = dy
    else:
        dz[...] = backward(xp, dy, aux if act.saves_z else y, y, act)
    if dx.size:
        dx[...] = _product(xp, dz, w.T, precision)
    if dw.size:
        _update(dw, _product(xp, x.T, dz, precision), 1.0, 1.0 if add & 2 else 0.0)
    if db.size:
        _update(db, dz.sum(0), 1.0, 1.0 if add & 4 else 0.0)


def dense_nets_forward(xp: Any, y: Array, aux: Array, x: Array, w: Array, b: Array, act: Activation, precision: int) -> None:
    """`dense_forward` for each of G layers of equal sizes: w (G, K, N), b (G, N) or absent, y (G, M, N).

    x is (G, M, K), or (1, M, K) if all layers have the same input.
    """
    for g, inputs in enumerate(inputs_of(x, len(w))):
        dense_forward(xp, y[g], of_net(aux, g), inputs, w[g], of_net(b, g), act, precision)


def dense_nets_forward_aux(g: int, m: int, n: int, s: int, k: int, dtype: Any, act: Activation, precision: int) -> Any:
    """Return the shape and dtype of z of all layers, which is kept for the functions whose slope needs it."""
    return ((g, m, n), dtype) if act.saves_z else None


def dense_nets_backward(
    xp: Any,
    dx: Array,
    dw: Array,
    db: Array,
    dz: Array,
    dy: Array,
    x: Array,
    w: Array,
    y: Array,
    aux: Array,
    act: Activation,
    add: int,
    precision: int,
) -> None:
    """`dense_backward` for each of G layers of equal sizes, with the arrays of `dense_nets_forward`.

    dx is (G, M, K) also if all layers have the same input.
    """
    for g, inputs in enumerate(inputs_of(x, len(w))):
        own = of_net(dx, g), of_net(dw, g), of_net(db, g), of_net(dz, g)
        dense_backward(xp, *own, dy[g], inputs, w[g], y[g], of_net(aux, g), act, add, precision)


def of_net(a: Array, g: int) -> Array:
    """Return the part of an array that belongs to a layer; an absent array as it is."""
    return a[g] if a.ndim > 1 else a


def inputs_of(x: Array, count: int) -> list[Array]:
    """Return the inputs of the layers."""
    return [x[g if len(x) > 1 else 0] for g in range(count)]
