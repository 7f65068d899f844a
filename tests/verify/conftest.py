"""The network that the checker is tested with, and its derivation."""

import pytest
from tests.verify.planted import mlp

from bpgen.derive import derive


@pytest.fixture(scope="session")
def net():
    return mlp()


@pytest.fixture(scope="session")
def derivation(net):
    return derive(net)
