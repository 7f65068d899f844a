"""The CuPy target: equations as CUDA C++ kernels, and the lines of Python that launch them.

Shared with numpy: the names of everything, the layout of parameters and gradients in one vector,
checkpoints, the checks of a batch, `main`, and every random number: kernels draw those
that numpy draws, from seed, step and name, and the host draws normal ones. What differs:

- An equation is one kernel, whatever its statements are: `out[I] = Σ_R f + … + h`. A tensor is a
  pointer, and an entry of it is found by arithmetic on indices: windows, borders, digits, joins and
  addresses all are index expressions, so that no view and no copy stands between two equations. A
  tensor that only sees another one under other indices is the same memory.
- Four shapes of kernel do everything, each a device template that takes formulas as lambdas
  (`templates/cupy/*.cu.jinja`): `each` computes entry by entry, and `each_of` values, of which 16
  bytes move at once; a reduction (`by_warp`, `by_block`, `by_columns`) sums or takes the largest;
  `by_match` adds up what addresses send to each of many rows; `product` multiplies matrices in
  tiles of shared memory, whatever formulas its operands are, so that a convolution is one too.
- A large product of matrices that lie in memory as they are is a line of Python, as in numpy, which
  cuBLASLt carries out, or a kernel where that is missing. The windows of a wide convolution are
  copied to a tile first; of a narrow one nothing is.
- Where products multiply bf16, what they read is stored so, by the kernels that make it; every
  kernel computes in float32, which parameters, gradients and sums stay. `storage` has the rule.
- Maps over the entries of a result are computed where it is stored: `fusion` decides that from the
  program alone. What only one kernel reads, the one that computes it, is in no memory: `local`
  finds it, and it is a `const real` there, computed again in each step of a row that reads it.
- A matrix that is multiplied, mapped and summed away again, as the scores of an attention, is a
  panel: it is in no memory if it is sooner computed anew, tile by tile, than written and read.
- Nothing is atomic and every sum has one order, so that each run gives the same bits.
- All memory is there before a step, and nothing in a step waits for the device; so one CUDA graph
  holds a whole step. What changes from step to step, the number of the step, lies in device memory.
- A batch is copied from pinned memory by a stream of its own, to one of two places in turn, while
  the step before reads the other. A loss is read when somebody asks for it.

`speller` writes formulas in CUDA C++, `names` keeps a kernel's identifiers apart, `kernel` holds a
kernel in writing; `groups` says which equations one kernel computes, `local`, `panels` and `worth`
what no memory holds, `storage` of what type a tensor is stored; `maps`, `shapes`, `rows`,
`matches`, `ends`, `noise`, `tiles` and `matmul` write what there is to compute, `target` chooses.
"""
