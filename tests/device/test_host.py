"""CUDA on the CPU finds the faults that it is there to find."""

import numpy as np
import pytest

from bpgen.device.host import HostModule, has_compiler
from bpgen.errors import DeviceError

pytestmark = pytest.mark.skipif(not has_compiler(), reason="needs g++")

HEAD = "typedef REAL real;\n"
REVERSED = """
extern "C" __global__ void turned(const real *x, real *y, int N) {
    __shared__ real kept[256];
    kept[threadIdx.x] = x[threadIdx.x];
    BARRIER
    y[threadIdx.x] = kept[N - 1 - threadIdx.x];
}
"""
STUCK = """
extern "C" __global__ void stuck(real *x) {
    if (threadIdx.x < 7) __syncthreads();
    x[threadIdx.x] = 1;
}
"""
x = np.arange(64, dtype=np.float32)


def turned(barrier, seed):
    module = HostModule(HEAD + REVERSED.replace("BARRIER", barrier), "float")
    y = np.zeros_like(x)
    module.launch("turned", 1, 64, [x, y, np.int32(64)], seed)
    return y


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shared_memory_and_a_barrier(seed):
    np.testing.assert_array_equal(turned("__syncthreads();", seed), x[::-1])


def test_a_missing_barrier_shows_as_nan():
    assert np.isnan(turned("", seed=1)).any()


def test_threads_that_wait_for_ever_are_given_up():
    module = HostModule(HEAD + STUCK, "float")
    for _ in range(2):
        with pytest.raises(DeviceError, match="deadlock"):
            module.launch("stuck", 1, 64, [np.zeros(64, np.float32)])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([x, x.copy()], "takes"),
        ([x.astype(float), x.copy(), np.int32(64)], "is given float64"),
        ([x, x.copy(), np.int64(64)], "is given int64"),
        ([x[::2], x.copy(), np.int32(64)], "gaps"),
    ],
)
def test_arguments_are_of_the_very_types_that_a_kernel_takes(args, message):
    module = HostModule(HEAD + REVERSED.replace("BARRIER", "__syncthreads();"), "float")
    with pytest.raises(DeviceError, match=message):
        module.launch("turned", 1, 64, args)
