"""What emitted modules take, in time and memory, beside the frameworks a reader would use instead.

A workload is a declaration in `workloads/` with a batch, an optimizer and a goal. Its twins in
`twins/` are the same network as a user of PyTorch or JAX writes it. A contestant in `contestants/`
turns one of them into a function that takes a whole training step and returns its loss. A worker
is a process of one contestant: it starts, takes a first step, and then as many as it is told; so
start, memory and time come from the same runs, and no two thread pools share a process. A race
starts the workers of one workload, compares their losses, and lets them step in turn. A gap is a
statement of the emitted module beside what the machine allows.

    python -m benchmarks.steps       time, memory and start of training steps, beside the frameworks
    python -m benchmarks.scaling     time to derive and emit, against depth and width
    python -m benchmarks.batches     memory against the batch
    python -m benchmarks.k_of_n      accuracy against the number of connections
    python -m benchmarks.gpu         steps on a GPU

Each writes its tables and pictures to `benchmarks/results/`.
"""
