# Written by scripts/stubs.

from . import functional as functional
from .check import gradcheck as gradcheck
from .check_second import gradgradcheck as gradgradcheck
from .function import Function as Function
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
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
]
