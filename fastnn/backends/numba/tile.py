"""The innermost part of matrix products: a tile of the result, held in vector registers while it is added up."""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

_WIDE = bool(binding.get_host_cpu_features().get("avx512f"))
VECTOR = 64 if _WIDE else 32
"""Bytes of a vector. Where registers have half of that, LLVM takes two for one."""
ROWS = 12 if _WIDE else 6
"""Rows of a tile: with two vectors a row it takes three quarters of the registers."""


def _tile(vectors: int, packed: bool) -> Any:
    """tile(c, d, a, b, numbers): c = alpha a b + beta d for one tile of flat arrays.

    The numbers are at_c, at_d, at_a, at_b, m, n, k, ldc, ldd, row, column, ldb, alpha, beta: where the tile is in each array; its
    m <= ROWS rows and n columns, of so many vectors at most; k; how far apart rows of c, of d and of b are, and rows and columns
    of a. With beta = 0, d is not read. Where a and b are packed, they are filled up to whole tiles, and a lies in columns of ROWS.
    """

    @intrinsic
    def tile(context: Any, c: Any, d: Any, a: Any, b: Any, numbers: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            arrays = (make_array(t)(context, builder, v).data for t, v in zip(signature.args[:4], args[:4], strict=True))
            _generate(builder, context.get_value_type(c.dtype), vectors, packed, *arrays, *cgutils.unpack_tuple(builder, args[4]))
            return context.get_dummy_value()

        return types.none(c, d, a, b, numbers), generate

    return tile


def _generate(builder: Any, scalar: Any, vectors: int, packed: bool, C: Any, D: Any, A: Any, B: Any, *numbers: Any) -> None:
    at_c, at_d, at_a, at_b, m, n, k, ldc, ldd, row, column, ldb, alpha, beta = numbers
    word, bit = at_c.type, ir.IntType(1)
    lanes = VECTOR // (4 if isinstance(scalar, ir.FloatType) else 8)
    vector = ir.VectorType(scalar, lanes)
    zero = ir.Constant(vector, None)
    contract = ("contract",)

    def at(base: Any, offset: Any, kind: Any = None) -> Any:
        place = builder.gep(base, [offset])
        return place if kind is None else builder.bitcast(place, kind.as_pointer())

    def spread(value: Any, kind: Any) -> Any:
        one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), lanes), None))

    words = ir.VectorType(word, lanes)
    masks = []
    for v in range(vectors):
        numbers_of = ir.Constant(words, [v * lanes + i for i in range(lanes)])
        masks.append(builder.icmp_signed("<", numbers_of, spread(n, words)))
    mask_type = ir.VectorType(bit, lanes)
    pointer = vector.as_pointer()
    width, kind = ir.IntType(32), f"v{lanes}{'f32' if isinstance(scalar, ir.FloatType) else 'f64'}.p0"
    load_type = ir.FunctionType(vector, [pointer, width, mask_type, vector])
    store_type = ir.FunctionType(ir.VoidType(), [vector, pointer, width, mask_type])
    load = cgutils.get_or_insert_function(builder.module, load_type, f"llvm.masked.load.{kind}")
    store = cgutils.get_or_insert_function(builder.module, store_type, f"llvm.masked.store.{kind}")
    align = ir.Constant(ir.IntType(32), scalar_bytes := VECTOR // lanes)

    def read(base: Any, offset: Any, v: int, masked: bool) -> Any:
        place = at(base, builder.add(offset, word(v * lanes)), vector)
        if masked:
            return builder.call(load, [place, align, masks[v], zero])
        return builder.load(place, align=scalar_bytes)

    # Rows that there are not are the last one once more, and not stored.
    last = builder.sub(m, word(1))
    rows = []
    for i in range(ROWS):
        here = builder.select(builder.icmp_signed("<", word(i), m), word(i), last)
        rows.append(word(i) if packed else builder.mul(here, row))
    step = word(ROWS) if packed else column
    sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(vectors)] for _ in range(ROWS)]
    with cgutils.for_range(builder, k, intp=word) as loop:
        p = loop.index
        column_a = builder.add(at_a, builder.mul(p, step))
        row_b = builder.add(at_b, builder.mul(p, ldb))
        bs = [read(B, row_b, v, not packed) for v in range(vectors)]
        for i in range(ROWS):
            x = spread(builder.load(at(A, builder.add(column_a, rows[i]))), vector)
            for v in range(vectors):
                product = builder.fmul(x, bs[v], flags=contract)
                builder.store(builder.fadd(builder.load(sums[i][v]), product, flags=contract), sums[i][v])
    factor, other = spread(alpha, vector), spread(beta, vector)
    adds = builder.fcmp_unordered("!=", beta, ir.Constant(scalar, 0.0))
    for i in range(ROWS):
        with builder.if_then(builder.icmp_signed("<", word(i), m)):
            for v in range(vectors):
                value = cgutils.alloca_once_value(builder, builder.fmul(factor, builder.load(sums[i][v]), flags=contract))
                with builder.if_then(adds):
                    before = read(D, builder.add(at_d, builder.mul(word(i), ldd)), v, True)
                    builder.store(builder.fadd(builder.load(value), builder.fmul(other, before, flags=contract), flags=contract), value)
                place = at(C, builder.add(builder.add(at_c, builder.mul(word(i), ldc)), word(v * lanes)), vector)
                builder.call(store, [builder.load(value), place, align, masks[v]])


direct_one, direct_two = _tile(1, False), _tile(2, False)
packed_one, packed_two = _tile(1, True), _tile(2, True)
