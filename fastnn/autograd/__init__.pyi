# Written by scripts/stubs.

from .gradients import Graph as Graph
from .gradients import Operation as Operation
from .gradients import Value as Value
from .gradients import grad as grad
from .gradients import graph as graph

__all__ = [
    "Graph",
    "Operation",
    "Value",
    "grad",
    "graph",
]
