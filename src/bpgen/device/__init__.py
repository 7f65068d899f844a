"""A GPU that need not be there: what emitted CuPy modules do is compiled, run and watched without.

In: the CUDA C++ of a module, or a whole module. Out: what its kernels compute, on the CPU; what
NVIDIA's compiler says of them, for every kind of GPU. True at the door: what a GPU would refuse, or
do wrong in silence, raises DeviceError here.

- `cuda_host.h` is the part of CUDA that kernels use, on the CPU: each thread of a block is a fiber;
  `cuda_bf16.h` is the part of the header of this name.
- `host` compiles kernels with it, by g++, and launches them.
- `arrays` is memory of the device, which the host sees by copies alone; `order` watches that no
  stream uses it while another one does; `streams` has streams, events and graphs.
- `standin` is what modules use of CuPy, on such memory; `cublas` what they use of cuBLASLt.
- `nvrtc` asks NVIDIA's compiler, which needs no GPU.
"""
