"""The networks of the workloads as users of PyTorch and of JAX write them.

`<twin>_torch.build(p)` returns a module, `<twin>_jax.start(p, x)` parameters and a batch in the
layout that suits JAX, and `<twin>_jax.logits(p, x)` what they give. `p` holds the first values of
the parameters by the names they are declared by.
"""
