"""The curve is one picture for one history."""

import xml.etree.ElementTree as ET

from bpgen.execute.curve import draw
from bpgen.execute.history import Epoch, Score


def epochs(accuracy):
    return [Epoch(k, 7 * k, Score(1 / k), Score(1.5 / k, accuracy)) for k in (1, 2, 3)]


def test_the_same_epochs_give_the_same_bytes(tmp_path):
    for name in ("a.svg", "b.svg"):
        draw(tmp_path / name, epochs(0.5), title="net")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_accuracy_has_a_panel_of_its_own_where_there_is_one(tmp_path):
    for accuracy, panels in ((None, 1), (0.5, 2)):
        draw(tmp_path / "c.svg", epochs(accuracy), title="net")
        groups = ET.parse(tmp_path / "c.svg").iter("{http://www.w3.org/2000/svg}g")
        assert sum(group.get("id", "").startswith("axes_") for group in groups) == panels
