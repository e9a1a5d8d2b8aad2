# Written by scripts/stubs.

from .function import Function as Function
from .gradcheck import gradcheck as gradcheck
from .gradgradcheck import gradgradcheck as gradgradcheck
from .gradients import Graph as Graph
from .gradients import Operation as Operation
from .gradients import Value as Value
from .gradients import grad as grad
from .gradients import graph as graph

__all__ = [
    "Function",
    "Graph",
    "Operation",
    "Value",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
]
