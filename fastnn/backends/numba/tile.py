"""The innermost part of matrix products: a tile of the result, held in vector registers while it is added up.

It is written in LLVM's language, because no loop in Python's makes LLVM keep a tile in registers.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

_MANY_REGISTERS = bool(binding.get_host_cpu_features().get("avx512f"))
VECTOR = 64 if _MANY_REGISTERS else 32
"""Bytes of a vector; where registers have half of that, LLVM takes two for one."""
ROWS = 12 if _MANY_REGISTERS else 6
"""Rows of a tile: with two vectors each they take three quarters of the registers."""

_CONTRACT = ("contract",)


class _Vectors:
    """Vectors of the numbers of an array, in code that is being built."""

    def __init__(self, builder: Any, scalar: Any) -> None:
        self.builder, self.bytes = builder, 4 if isinstance(scalar, ir.FloatType) else 8
        self.lanes = VECTOR // self.bytes
        self.type = ir.VectorType(scalar, self.lanes)
        self.zero = ir.Constant(self.type, None)
        int32, mask = ir.IntType(32), ir.VectorType(ir.IntType(1), self.lanes)
        pointer, suffix = self.type.as_pointer(), f"v{self.lanes}f{8 * self.bytes}.p0"
        self.align = int32(self.bytes)
        load = ir.FunctionType(self.type, [pointer, int32, mask, self.type])
        store = ir.FunctionType(ir.VoidType(), [self.type, pointer, int32, mask])
        self._load = cgutils.get_or_insert_function(builder.module, load, f"llvm.masked.load.{suffix}")
        self._store = cgutils.get_or_insert_function(builder.module, store, f"llvm.masked.store.{suffix}")

    def spread(self, value: Any) -> Any:
        """Return the number in all lanes."""
        kind, first = ir.VectorType(value.type, self.lanes), ir.IntType(32)(0)
        one = self.builder.insert_element(ir.Constant(kind, ir.Undefined), value, first)
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        return self.builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), lanes)

    def masks(self, count: Any, vectors: int) -> list[Any]:
        """For each of some vectors that lie together, which lanes are among the first so many."""
        words, bound = ir.VectorType(count.type, self.lanes), self.spread(count)
        places = (ir.Constant(words, [v * self.lanes + i for i in range(self.lanes)]) for v in range(vectors))
        return [self.builder.icmp_signed("<", place, bound) for place in places]

    def _place(self, base: Any, at: Any, v: int) -> Any:
        place = self.builder.gep(base, [self.builder.add(at, at.type(v * self.lanes))])
        return self.builder.bitcast(place, self.type.as_pointer())

    def load(self, base: Any, at: Any, v: int, mask: Any = None) -> Any:
        """Vector number v from a place on; 0 where there is a mask that does not hold."""
        place = self._place(base, at, v)
        if mask is None:
            return self.builder.load(place, align=self.bytes)
        return self.builder.call(self._load, [place, self.align, mask, self.zero])

    def store(self, value: Any, base: Any, at: Any, v: int, mask: Any) -> None:
        self.builder.call(self._store, [value, self._place(base, at, v), self.align, mask])

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        return self.builder.fadd(c, self.builder.fmul(a, b, flags=_CONTRACT), flags=_CONTRACT)


def _tile(vectors: int, packed: bool) -> Any:
    """tile(c, d, a, b, numbers): c = alpha a b + beta d for one tile of flat arrays.

    The numbers are at_c, at_d, at_a, at_b, m, n, k, ldc, ldd, row, column, ldb, alpha, beta: where the tile is in each array; its
    m <= ROWS rows and n columns, of so many vectors at most; k; how far apart rows of c, of d, rows and columns of a, and rows of
    b are. With beta = 0, d is not read. Where a and b are packed, b is filled up to whole vectors, and a lies in columns of ROWS.
    """

    def tile(context: Any, c: Any, d: Any, a: Any, b: Any, numbers: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            arrays = (make_array(t)(context, builder, v).data for t, v in zip(signature.args[:4], args[:4], strict=True))
            code = _Vectors(builder, context.get_value_type(c.dtype))
            _generate(builder, code, vectors, packed, *arrays, *cgutils.unpack_tuple(builder, args[4]))
            return context.get_dummy_value()

        return types.none(c, d, a, b, numbers), generate

    return intrinsic(tile)


def _generate(builder: Any, code: _Vectors, vectors: int, packed: bool, c: Any, d: Any, a: Any, b: Any, *numbers: Any) -> None:
    at_c, at_d, at_a, at_b, m, n, k, ldc, ldd, row, column, ldb, alpha, beta = numbers
    word = m.type
    masks = code.masks(n, vectors)
    # Rows that there are not are the last one once more: they are added up, too, and not stored.
    last = builder.sub(m, word(1))
    real = [builder.select(builder.icmp_signed("<", word(i), m), word(i), last) for i in range(ROWS)]
    rows = [word(i) if packed else builder.mul(real[i], row) for i in range(ROWS)]

    sums = [[cgutils.alloca_once_value(builder, code.zero) for _ in range(vectors)] for _ in range(ROWS)]
    with cgutils.for_range(builder, k, intp=word) as loop:
        column_a = builder.add(at_a, builder.mul(loop.index, word(ROWS) if packed else column))
        row_b = builder.add(at_b, builder.mul(loop.index, ldb))
        right = [code.load(b, row_b, v, None if packed else masks[v]) for v in range(vectors)]
        for i in range(ROWS):
            left = code.spread(builder.load(builder.gep(a, [builder.add(column_a, rows[i])])))
            for v in range(vectors):
                builder.store(code.multiply_add(left, right[v], builder.load(sums[i][v])), sums[i][v])

    results = cgutils.alloca_once(builder, code.type, size=ROWS * vectors)
    for i in range(ROWS):
        for v in range(vectors):
            builder.store(builder.load(sums[i][v]), builder.gep(results, [word(i * vectors + v)]))
    factor, share = code.spread(alpha), code.spread(beta)
    adds = builder.fcmp_unordered("!=", beta, ir.Constant(beta.type, 0.0))
    with cgutils.for_range(builder, m, intp=word) as loop:
        row_c, row_d = (builder.add(at, builder.mul(loop.index, ld)) for at, ld in ((at_c, ldc), (at_d, ldd)))
        for v in range(vectors):
            place = builder.gep(results, [builder.add(builder.mul(loop.index, word(vectors)), word(v))])
            builder.store(builder.fmul(factor, builder.load(place)), place)
            with builder.if_then(adds):
                before = code.load(d, row_d, v, masks[v])
                builder.store(code.multiply_add(share, before, builder.load(place)), place)
            code.store(builder.load(place), c, row_c, v, masks[v])


direct_one, direct_two = _tile(1, False), _tile(2, False)
packed_one, packed_two = _tile(1, True), _tile(2, True)
