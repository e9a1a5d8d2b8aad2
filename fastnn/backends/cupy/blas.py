"""Large matrix products by cuBLASLt, called with addresses and a stream, so that they can be recorded in CUDA graphs.

CuPy does not allow cuBLAS while a stream is capturing, and does not support epilogues. nvmath has the plain functions of
cuBLASLt. For each kind of product, there are descriptors and the algorithm that the heuristics of cuBLASLt rank first. They are
asked once, at the first call, which is before any capture, because calls are recorded before they are captured. The algorithm is
never chosen by measured time, which varies: another algorithm may add in another order, and training would give other bits in
the next process.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from .device import Device

WORKSPACE = 32 << 20
"""Bytes of workspace that NVIDIA recommends for GPUs since Hopper."""
ALIGNMENT = 16
"""Alignment of addresses in bytes that the fastest algorithms require."""
AUX_COLUMNS = 8
"""Rows of the second output of an epilogue begin at multiples of this number of elements."""
NOT_SUPPORTED = 15

R_32F, R_64F, R_16BF = 0, 1, 14
COMPUTE_32F, COMPUTE_32F_FAST_TF32, COMPUTE_64F = 68, 77, 70
FACTORS = {
    "float32": (R_32F, R_32F, COMPUTE_32F),
    "tf32": (R_32F, R_32F, COMPUTE_32F_FAST_TF32),
    "bfloat16": (R_16BF, R_32F, COMPUTE_32F),
    "float64": (R_64F, R_64F, COMPUTE_64F),
}
"""Types of factors, of the result and of the sums, as numbers of library_types.h and cublas_api.h."""


class Product(NamedTuple):
    """Kind of product: d = alpha op(a) op(b) + beta d of row-major matrices, where op(a) is (m, k) and op(b) is (k, n)."""

    m: int
    n: int
    k: int
    ta: bool
    """Whether a is transposed, that is, stored as (k, m)."""
    tb: bool
    factors: str
    """A name in FACTORS."""
    alignment: int
    """Common alignment of all addresses in bytes, ALIGNMENT at most."""
    epilogue: str = ""
    """A name of cublasLt.Epilogue: the operation on the result before it is written."""


def alignment(*addresses: int) -> int:
    """Return the common alignment of addresses, ALIGNMENT bytes at most."""
    together = ALIGNMENT
    for address in addresses:
        together |= address
    return together & -together


class Products(Protocol):
    """A library of products of large matrices."""

    def offers(self, product: Product) -> bool:
        """Return whether there is an algorithm for a product with its epilogue."""

    def multiply(self, product: Product, d: int, a: int, b: int, alpha: float, beta: float, bias: int = 0, aux: int = 0) -> None:
        """Start a product on addresses. bias (n) is added; aux (m, n) is what the epilogue saves or needs."""


class Matrix(NamedTuple):
    """Column-major matrix as cuBLASLt takes it."""

    rows: int
    columns: int
    leading: int
    transposed: bool = False


def layouts(product: Product) -> tuple[Matrix, Matrix, Matrix]:
    """Return the first factor, the second factor and the result for cuBLASLt.

    Its matrices are column-major, so it sees the transpose of a row-major matrix. It computes d^T = op(b)^T op(a)^T: b is the
    first factor, and a bias for each row of d^T is a bias for each column of d.
    """
    m, n, k, ta, tb = product[:5]
    first = Matrix(k, n, k, True) if tb else Matrix(n, k, n)
    second = Matrix(m, k, m, True) if ta else Matrix(k, m, k)
    return first, second, Matrix(n, m, n)


class _Plan(NamedTuple):
    """Descriptors and the algorithm of a kind of product."""

    description: int
    first: int
    second: int
    result: int
    found: Any
    """Result of the heuristics, which begins with the algorithm."""
    workspace: int
    """Bytes that the algorithm needs."""


class CublasLt:
    """cuBLASLt on the device's stream. The library is loaded at the first product."""

    def __init__(self, device: Device, library: Any = None) -> None:
        self._device = device
        self._given = library
        self._plans: dict[Product, _Plan | None] = {}
        self._scalars: dict[tuple[float, str], np.ndarray[Any, Any]] = {}

    @cached_property
    def _lt(self) -> Any:
        if self._given is not None:
            return self._given
        try:
            from nvmath.bindings import cublasLt
        except ImportError as error:
            raise ImportError(
                f'large matrix products on a GPU need nvmath-python: pip install "fastnn[cuda]" ({error})'
            ) from error
        return cublasLt

    @cached_property
    def _handle(self) -> int:
        return int(self._lt.create())

    @cached_property
    def _workspace(self) -> Any:
        return self._device.empty(WORKSPACE, np.uint8)

    @cached_property
    def _workspace_address(self) -> int:
        return self._device.pointer(self._workspace, "cublasLt", "workspace")

    def offers(self, product: Product) -> bool:
        return self._plan(product) is not None

    def multiply(self, product: Product, d: int, a: int, b: int, alpha: float, beta: float, bias: int = 0, aux: int = 0) -> None:
        plan = self._plan(product)
        if plan is None:
            raise RuntimeError(f"cuBLASLt has no algorithm for {product}")
        if bias:
            self._set("matmul_desc", plan.description, "BIAS_POINTER", bias)
        if aux:
            self._set("matmul_desc", plan.description, "EPILOGUE_AUX_POINTER", aux)
        self._lt.matmul(
            self._handle,
            plan.description,
            self._scalar(alpha, product.factors),
            b,
            plan.first,
            a,
            plan.second,
            self._scalar(beta, product.factors),
            d,
            plan.result,
            d,
            plan.result,
            plan.found.ctypes.data,
            self._workspace_address,
            plan.workspace,
            self._device.stream_pointer,
        )

    def _scalar(self, value: float, factors: str) -> int:
        """Return the address of alpha or beta on the host."""
        if (value, factors) not in self._scalars:
            self._scalars[value, factors] = np.array([value], np.float64 if factors == "float64" else np.float32)
        return int(self._scalars[value, factors].ctypes.data)

    def _plan(self, product: Product) -> _Plan | None:
        """Return the descriptors and the algorithm of a product, or None if cuBLASLt has no algorithm."""
        if product not in self._plans:
            self._plans[product] = self._planned(product)
        return self._plans[product]

    def _planned(self, product: Product) -> _Plan | None:
        lt = self._lt
        aux = "AUX" in product.epilogue or product.epilogue.startswith("D")
        if aux and (product.n % AUX_COLUMNS or product.alignment < ALIGNMENT):
            return None
        handle = self._handle  # first, because its error describes what is missing
        factor, result, compute = FACTORS[product.factors]
        first, second, out = layouts(product)
        description = lt.matmul_desc_create(compute, result)
        self._set("matmul_desc", description, "TRANSA", first.transposed)
        self._set("matmul_desc", description, "TRANSB", second.transposed)
        if product.epilogue:
            self._set("matmul_desc", description, "EPILOGUE", lt.Epilogue[product.epilogue])
            # The heuristics need some addresses; the calls replace them.
            if "BIAS" in product.epilogue or "BGRAD" in product.epilogue:
                self._set("matmul_desc", description, "BIAS_DATA_TYPE", result)
                self._set("matmul_desc", description, "BIAS_POINTER", self._workspace_address)
            if aux:
                self._set("matmul_desc", description, "EPILOGUE_AUX_POINTER", self._workspace_address)
                self._set("matmul_desc", description, "EPILOGUE_AUX_LD", product.n)
        kinds = (factor, first), (factor, second), (result, out)
        a, b, d = (lt.matrix_layout_create(kind, matrix.rows, matrix.columns, matrix.leading) for kind, matrix in kinds)
        preference = lt.matmul_preference_create()
        self._set("matmul_preference", preference, "MAX_WORKSPACE_BYTES", WORKSPACE)
        for letter in "ABCD":
            self._set("matmul_preference", preference, f"MIN_ALIGNMENT_{letter}_BYTES", product.alignment)
        found, count = np.zeros(1, lt.matmul_heuristic_result_dtype), np.zeros(1, np.int32)
        try:
            lt.matmul_algo_get_heuristic(handle, description, a, b, d, d, preference, 1, found.ctypes.data, count.ctypes.data)
        except lt.cuBLASLtError as error:
            if error.status != NOT_SUPPORTED and not product.epilogue:
                raise
            count[0] = 0
        finally:
            lt.matmul_preference_destroy(preference)
        if count[0] and found["state"][0] == 0:
            return _Plan(description, a, b, d, found, int(found["workspace_size"][0]))
        lt.matmul_desc_destroy(description)
        for layout in (a, b, d):
            lt.matrix_layout_destroy(layout)
        return None

    def _set(self, of: str, what: int, name: str, value: int) -> None:
        """Set an attribute of a descriptor or of the preference."""
        lt = self._lt
        attributes = lt.MatmulDescAttribute if of == "matmul_desc" else lt.MatmulPreferenceAttribute
        attribute = attributes[name]
        buffer = np.array([value], getattr(lt, f"get_{of}_attribute_dtype")(attribute))
        getattr(lt, f"{of}_set_attribute")(what, attribute, buffer.ctypes.data, buffer.nbytes)
