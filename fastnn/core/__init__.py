"""Parts that every floor uses and that need no Tensor: arrays, shapes, nesting, names, locks."""
