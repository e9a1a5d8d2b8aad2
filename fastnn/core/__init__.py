"""What every floor uses and no Tensor is needed for: arrays, shapes, nesting, names, locks."""
