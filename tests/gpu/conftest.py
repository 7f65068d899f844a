"""Tests that need a GPU can be rehearsed without one."""


def pytest_addoption(parser):
    parser.addoption("--rehearse", action="store_true", help="run on the CPU, by the stand-in")
