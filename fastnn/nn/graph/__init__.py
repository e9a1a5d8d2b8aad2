"""Models made of layers: sequences, graphs, lists and dicts."""
