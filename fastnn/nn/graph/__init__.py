"""Models that are put together of layers: in a row, as a graph, in lists and dicts."""
