"""Independent frameworks: the forward of a model, layer by layer, by torch and by jax."""
