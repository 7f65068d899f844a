"""Independent frameworks: the forward of a model, entry by entry of the catalog, by torch or jax.

In: a model file. Out: for each call of a layer, an activation or a loss, how far the framework's
own function is from bpgen's equations. True at the door: nothing here is computed from the
equations of the model but what has no counterpart, and that is said.

One file a framework: a table from the name of a catalog entry to a function of its arguments.
"""
