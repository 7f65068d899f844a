"""Steps on a GPU: workloads, rivals in other frameworks, and what each kernel takes.

A rehearsal takes all of this on the CPU, with small batches: emitted modules on the stand-in.
"""
