"""Kernels on the CPU can be watched by the sanitizers of g++ (`make sanitize`)."""

import pytest

from bpgen.device.arrays import Device
from bpgen.device.host import SANITIZED


def pytest_addoption(parser):
    parser.addoption("--sanitize", action="store_true", help="watch every access of kernels")


@pytest.fixture
def device(request):
    """A device on the CPU, watched if that is asked for."""
    watched = request.config.getoption("--sanitize", default=False)
    return Device(options=SANITIZED if watched else ())
