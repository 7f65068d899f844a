"""Independent frameworks: a model, entry by entry of the catalog, by torch or jax.

In: a model file. Out: for each call of a layer, an activation or a loss, how far the framework's
own function is from bpgen's equations; and for each parameter, how far its gradient is from theirs
where the loss is computed by calls alone. True at the door: nothing here is computed from the
equations of the model but what has no counterpart, and that is said by name.

`record` notes the calls while a model file runs, `truth` holds what the equations give, `replay`
runs the calls in a framework, block by block where they are repeated, and `compare` compares.

One package a framework: tables from the name of a catalog entry to a function of its arguments,
one file a topic. A function returns None for options that the framework lacks.
"""
