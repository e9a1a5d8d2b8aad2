"""Gradients with a graph of their own (create_graph=True), of which gradients can be computed again.

Backward functions call kernels, whose results have no history. For these gradients, each backward function has a rule that
computes the same gradients by operations. `rules` has the table of the rules and the means to write one, `run` the pass over the
tape. The other modules are the rules. All are loaded at the first use.
"""
