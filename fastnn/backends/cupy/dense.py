"""Matrix products and the dense layer: small ones by fastnn's kernels in one launch, large ones by cuBLASLt and other kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..reference.dense import inputs_of, of_net
from ..spec import LINEAR, PRECISIONS, Activation, activation
from .blas import CublasLt, Product, Products, alignment
from .device import Device
from .launch import MOST_BLOCKS, THREADS
from .source import TYPES, layout, own_program

FILES = ("functions.cuh", "product.cuh", "dense.cu")

Array = Any

SMALL_PRODUCT = 1 << 26
"""Largest number of multiply-adds of a product by fastnn's kernels: 128 x 784 x 512 takes about as long as a launch or two."""
LONGEST_SUM = 8192
"""Longest sum that one block computes; cuBLASLt divides longer sums among blocks."""
TILES = ((4, 16), (16, 32))
"""Rows and columns of a block's part of a small product: Narrow and Wide in product.cuh."""
FEW_TILES = 32
"""A product with fewer wide tiles than this uses narrow ones, to use more of the GPU. Products with few columns do this, too."""
SLAB_ROWS = 32
"""Smallest number of rows of a large layer's gradient that a block sums."""
MOST_SLABS = 128
"""Largest number of such sums for a column; there are fewer if many columns keep the GPU busy."""

SIGMOID, GELU_TANH = activation("sigmoid"), activation("gelu_tanh")


def _small(m: int, n: int, *sums: int) -> bool:
    """Return whether the kernels of dense.cu compute a product of these sizes; `sums` are lengths of sums."""
    return m * n * sums[0] <= SMALL_PRODUCT and max(sums) <= LONGEST_SUM


def dense_forward_aux(m: int, n: int, k: int, dtype: Any, act: Activation, precision: int) -> tuple[Any, Any] | None:
    """Return the shape and dtype of the array that forward saves for backward.

    It contains z, and if cuBLASLt multiplies bfloat16, also x and w in bfloat16.
    """
    if act.id != SIGMOID.id and _short(dtype, precision) and not _small(m, n, k, m, n):
        return act.saves_z * _copies(2 * m * n) + _copies(m * k) + k * n, np.dtype(np.uint16)
    return ((m, n), dtype) if act.saves_z else None


def dense_nets_forward_aux(g: int, m: int, n: int, s: int, k: int, dtype: Any, act: Activation, precision: int) -> Any:
    """Return the shape and dtype of what forward saves for the backward of g layers, one after the other."""
    one = dense_forward_aux(m, n, k, dtype, act, precision)
    return one and ((g, *one[0]) if isinstance(one[0], tuple) else (g, one[0]), one[1])


def _saved(pointer: int, aux: Array, act: Activation, elements: int) -> tuple[int, int]:
    """Return the addresses of z, and of x and w in bfloat16, in the array that forward saves; 0 for missing parts."""
    if aux.dtype != np.uint16:
        return pointer, 0
    return (pointer, pointer + 2 * _copies(2 * elements)) if act.saves_z else (0, pointer)


def _short(dtype: Any, precision: int) -> bool:
    """Return whether cuBLASLt multiplies factors of bfloat16."""
    return PRECISIONS[precision] == "bfloat16" and bool(dtype == np.float32)


def _tiles(m: int, n: int) -> tuple[bool, int]:
    """Return whether a product of m rows and n columns takes wide tiles, and the number of tiles."""
    counts = [-(-m // rows) * -(-n // columns) for rows, columns in TILES]
    wide = counts[1] >= FEW_TILES and n > TILES[0][1]
    return wide, counts[wide]


def _elements(n: int, each: int) -> int:
    """Return the number of blocks for n elements, from the number of elements that a thread processes at a time."""
    return min(MOST_BLOCKS, max(1, -(-n // (THREADS * each))))


def step_program(kind: str, dtype: str, precision: int, function: int, flags: tuple[bool, ...]) -> str:
    """Return the program of the kernel in dense.cu that takes the struct `kind`."""
    name = TYPES[dtype]
    rounds = () if kind in ("Activate", "Columns") else (precision,)
    call = f"{kind.lower()}<{', '.join([name, *map(str, rounds), *(str(int(flag)) for flag in flags)])}>"
    return own_program("dense", kind.lower(), f"{kind}<{name}>", call, function, blocks_at_once=2 if dtype == "float32" else 1)


class Dense:
    """Kernels of the dense family on a device.

    Args:
        device: device of the arrays.
        products: library for large products.
    """

    def __init__(self, device: Device, products: Products) -> None:
        self._device, self._products = device, products
        self._entries: dict[Any, Any] = {}

    def _launch(
        self,
        kind: str,
        blocks: int,
        dtype: Any,
        slots: tuple[Any, ...],
        precision: int = 0,
        function: int = -1,
        flags: tuple[bool, ...] = (),
    ) -> None:
        """Start the kernel that takes the struct `kind`: its template has the dtype, the precision if it rounds, and flags."""
        key = kind, dtype.char, precision, function, flags
        entry = self._entries.get(key)
        if entry is None:
            source = step_program(kind, dtype.name, precision, function, flags)
            entry = self._entries[key] = self._device.compile(source, f"{kind.lower()}_entry")
        self._device.launch(entry, blocks, THREADS, layout("dense.cu", kind).pack(*slots))

    def _pointers(self, kernel: str, **arrays: Array) -> list[int]:
        """Return the addresses of the arrays; 0 for an absent array."""
        return [self._device.pointer(a, kernel, name) if a.size else 0 for name, a in arrays.items()]

    # ---- products ----

    def matmul(self, ta: bool, tb: bool, c: Array, a: Array, b: Array, alpha: float, beta: float, precision: int) -> None:
        (m, n), k = c.shape, a.shape[0 if ta else 1]
        if not m or not n:
            return
        name = f"matmul_{'nt'[ta]}{'nt'[tb]}"
        pc, pa, pb = self._pointers(name, c=c, a=a, b=b)
        if _small(m, n, k):
            wide, tiles = _tiles(m, n)
            slots = pc, pa, pb, alpha, beta, m, n, k, tiles
            self._launch("Multiply", min(tiles, MOST_BLOCKS), c.dtype, slots, precision, flags=(ta, tb, wide))
            return
        with self._device.scratch.of(*(_rounded_bytes(f.size, c.dtype, precision) for f in (a, b))) as parts:
            pa, pb = (self._factor(p, f.size, c.dtype, precision, to) for p, f, to in zip((pa, pb), (a, b), parts, strict=True))
            product = Product(m, n, k, ta, tb, _factors(c.dtype, precision), alignment(pc, pa, pb))
            self._products.multiply(product, pc, pa, pb, alpha, beta)

    def _factor(self, pointer: int, n: int, dtype: Any, precision: int, to: int) -> int:
        """Return the address of n elements as cuBLASLt takes them in this precision; if needed, they are rounded to `to`."""
        if not _rounded_bytes(n, dtype, precision):
            return pointer
        self._launch("Convert", _elements(n, 8), dtype, (to, pointer, n), precision)
        return to

    # ---- the layer ----

    def forward(self, y: Array, aux: Array, x: Array, w: Array, b: Array, act: Activation, precision: int) -> None:
        (m, k), n, dtype = x.shape, w.shape[1], y.dtype
        if not y.size:
            return
        py, paux, px, pw, pb = self._pointers("dense_forward", y=y, aux=aux, x=x, w=w, b=b)
        z, copies = _saved(paux, aux, act, y.size)
        if _small(m, n, k) and not copies:
            self._small_forward((py, z, px, pw, pb), (1, 0, m, n, k), dtype, act, precision)
            return
        rounded = [] if copies else [_rounded_bytes(f.size, dtype, precision) for f in (x, w)]
        with self._device.scratch.of(*rounded) as parts:
            to_x, to_w = (copies, copies + 2 * _copies(x.size)) if copies else parts
            px = self._factor(px, x.size, dtype, precision, to_x)
            pw = self._factor(pw, w.size, dtype, precision, to_w)
            product = Product(m, n, k, False, False, _factors(dtype, precision), alignment(py, z, px, pw, pb))
            product = self._fused(product, act, bool(pb), bool(z), bool(precision))
            done = product.epilogue
            activated = "GELU" in done or act.id == LINEAR.id
            to = z if z and not activated else py
            self._products.multiply(
                product, to, px, pw, 1.0, 0.0, bias=pb if "BIAS" in done else 0, aux=z if "AUX" in done else 0
            )
            bias = 0 if "BIAS" in done else pb
            keep = z if "AUX" not in done and (bias or to != z) else 0
            if bias or keep or not activated:
                left = py, keep, to, bias, *act, y.size, n
                self._launch("Activate", _elements(y.size, 4), dtype, left, function=act.id)

    def _small_forward(self, arrays: Sequence[int], sizes: Sequence[int], dtype: Any, act: Activation, precision: int) -> None:
        """Compute layers of small products; the sizes are those of the struct `Forward`."""
        nets, _, m, n, _ = sizes
        wide, tiles = _tiles(m, n)
        slots = *arrays, *act, *sizes, tiles
        self._launch("Forward", min(tiles * nets, MOST_BLOCKS), dtype, slots, precision, act.id, (wide,))

    def forward_nets(self, y: Array, aux: Array, x: Array, w: Array, b: Array, act: Activation, precision: int) -> None:
        nets, m, n = y.shape
        k = w.shape[1]
        if _small(m, n, k) and aux.dtype != np.uint16:
            arrays = self._pointers("dense_nets_forward", y=y, aux=aux, x=x, w=w, b=b)
            if y.size:
                self._small_forward(arrays, (nets, _step(x), m, n, k), y.dtype, act, precision)
            return
        for g, inputs in enumerate(inputs_of(x, nets)):
            self.forward(y[g], of_net(aux, g), inputs, w[g], of_net(b, g), act, precision)

    def _fused(self, product: Product, act: Activation, bias: bool, z: bool, rounded: bool) -> Product:
        """Return the product with as much of the layer as possible in its epilogue.

        The ReLU of cuBLASLt is not used, because it is not documented that NaN passes through. Its GELU is only used if factors
        are rounded, because it uses the tanh of the hardware, which has only about ten bits.
        """
        function = ("GELU_AUX" if z else "GELU") if rounded and act.id == GELU_TANH.id else ""
        wanted = ["_".join(filter(None, (function, "BIAS" if bias else ""))), "BIAS" if bias else ""]
        fitting = (product._replace(epilogue=name) for name in wanted if name)
        return next((p for p in fitting if self._products.offers(p)), product)

    def backward(
        self,
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
        (m, k), n, dtype = x.shape, w.shape[1], y.dtype
        arrays = {"dx": dx, "dw": dw, "db": db, "dz": dz, "dy": dy, "x": x, "w": w, "y": y, "aux": aux}
        pdx, pdw, pdb, pdz, pdy, px, pw, py, paux = self._pointers("dense_backward", **arrays)
        z, copies = _saved(paux, aux, act, y.size)
        z = z if act.saves_z else py
        if _small(m, n, k, m, n):
            pointers = pdx, pdw, pdb, pdz, pdy, px, pw, py, z
            self._small_backward(pointers, (1, 0, m, n, k), dtype, act, add, precision)
            return
        slabs = min(MOST_SLABS, -(-m // SLAB_ROWS), max(1, MOST_BLOCKS // -(-n // 128)))
        rounded = [_rounded_bytes(size, dtype, precision) for size in (y.size, x.size, w.size)]
        own = [0, 0] if copies else rounded[1:]
        with self._device.scratch.of(slabs * n * dtype.itemsize * bool(pdb), rounded[0], *own) as (to_sums, to_dz, to_x, to_w):
            linear, short = act.id == LINEAR.id, _short(dtype, precision)
            # In bfloat16, dz is in the first half of its memory.
            out = to_dz if linear and short else pdz
            if pdb or out:
                slopes = out, to_sums if pdb else 0, pdy, py, z, *act, m, n, slabs
                self._launch("Slopes", min(MOST_BLOCKS, -(-n // 32) * slabs), dtype, slopes, precision, act.id)
            if pdb:
                self._launch("Columns", _elements(n, 1), dtype, (pdb, to_sums, n, slabs, bool(add & 4)))
            slope = out if short else self._factor(pdy if linear else pdz, y.size, dtype, precision, to_dz)
            factors = _factors(dtype, precision)
            if pdw:
                factor = copies or self._factor(px, x.size, dtype, precision, to_x)
                beta = 1.0 if add & 2 else 0.0
                product = Product(k, n, m, True, False, factors, alignment(pdw, factor, slope))
                self._products.multiply(product, pdw, factor, slope, 1.0, beta)
            if pdx:
                factor = copies + 2 * _copies(x.size) if copies else self._factor(pw, w.size, dtype, precision, to_w)
                product = Product(m, k, n, False, True, factors, alignment(pdx, slope, factor))
                self._products.multiply(product, pdx, slope, factor, 1.0, 0.0)

    def _small_backward(
        self, arrays: Sequence[int], sizes: Sequence[int], dtype: Any, act: Activation, add: int, precision: int
    ) -> None:
        """Compute gradients of layers of small products; the sizes are those of the struct `Backward`."""
        (nets, _, m, n, k), (dx, dw, db, dz) = sizes, arrays[:4]
        dx_wide, dx_tiles = _tiles(m, k) if dx else (False, 0)
        dw_wide, dw_tiles = _tiles(k, n) if dw else (False, 0)
        strips = -(-n // 32) if db or dz else 0
        adds = bool(add & 2), bool(add & 4)  # dw and db, the second and third output
        slots = *arrays, *act, *sizes, *adds, dx_tiles, dw_tiles, strips
        if blocks := min((dx_tiles + dw_tiles + strips) * nets, MOST_BLOCKS):
            self._launch("Backward", blocks, dtype, slots, precision, act.id, (dx_wide, dw_wide))

    def backward_nets(
        self,
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
        nets, m, n = y.shape
        k = w.shape[1]
        if _small(m, n, k, m, n):
            arrays = {"dx": dx, "dw": dw, "db": db, "dz": dz, "dy": dy, "x": x, "w": w, "y": y}
            z = {"z": aux if act.saves_z else y}
            pointers = self._pointers("dense_nets_backward", **arrays, **z)
            self._small_backward(pointers, (nets, _step(x), m, n, k), y.dtype, act, add, precision)
            return
        for g, inputs in enumerate(inputs_of(x, nets)):
            own = of_net(dx, g), of_net(dw, g), of_net(db, g), of_net(dz, g)
            self.backward(*own, dy[g], inputs, w[g], y[g], of_net(aux, g), act, add, precision)


def _step(x: Array) -> int:
    """Return the distance of the inputs of two nets: 0 if all have the same."""
    return int(x[0].size) if len(x) > 1 else 0


def _factors(dtype: Any, precision: int) -> str:
    """Return the type that cuBLASLt multiplies."""
    return "float64" if dtype == np.float64 else PRECISIONS[precision]


def _rounded_bytes(n: int, dtype: Any, precision: int) -> int:
    """Return the bytes of n rounded elements of a factor; 0 if cuBLASLt rounds them itself, or nothing is rounded."""
    if dtype == np.float64:
        return 8 * n if precision else 0
    return 2 * n if _short(dtype, precision) else 0


def _copies(n: int) -> int:
    """Return the first aligned offset after n numbers of 2 bytes."""
    return -(-n // 128) * 128


def table(device: Device, products: Products | None = None) -> dict[str, Callable[..., None]]:
    """Return the kernels of the family. By default, cuBLASLt computes large products."""
    dense = Dense(device, products or CublasLt(device))
    kinds = {"nn": (False, False), "nt": (False, True), "tn": (True, False)}
    products_of = {f"matmul_{name}": partial(dense.matmul, *transposed) for name, transposed in kinds.items()}
    return {
        **products_of,
        "dense_forward": dense.forward,
        "dense_backward": dense.backward,
        "dense_nets_forward": dense.forward_nets,
        "dense_nets_backward": dense.backward_nets,
    }
