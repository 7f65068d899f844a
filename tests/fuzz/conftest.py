"""How many random networks are tried, and the smallest one that fails."""

import pytest

CHUNK = 50
# A module is emitted for this part of them: it takes longer than a proof.
EMITTED = 0.15
_MODEL = "model"


def pytest_addoption(parser):
    parser.addoption("--networks", type=int, default=1000, help="how many random networks to try")


def pytest_generate_tests(metafunc):
    networks = metafunc.config.getoption("--networks", default=1000)
    if "proved" in metafunc.fixturenames:
        metafunc.parametrize("proved", range(-(-networks // CHUNK)))
    if "emitted" in metafunc.fixturenames:
        metafunc.parametrize("emitted", range(-(-int(EMITTED * networks) // CHUNK)))


@pytest.fixture
def searched(record_property):
    """Search, and record the model that a failure ends with."""
    from tests.fuzz.search import Broken, search

    def run(law, start):
        try:
            return search(law, networks=CHUNK, start=start)
        except Broken as broken:
            record_property(_MODEL, broken.text)
            raise

    return run


def pytest_terminal_summary(terminalreporter):
    failed = terminalreporter.stats.get("failed", [])
    models = [text for r in failed for key, text in r.user_properties if key == _MODEL]
    if len(models) > 1:
        terminalreporter.section("the smallest model that fails")
        terminalreporter.write_line(min(models, key=len))
