"""An emitted file is imported as it stands on disk."""

from bpgen.execute.load import load_module


def test_a_file_rewritten_at_once_is_read_again(tmp_path):
    path = tmp_path / "net.py"
    for dtype in ("float32", "float64"):
        path.write_text(f"DTYPE = '{dtype}'\n")
        assert dtype == load_module(path).DTYPE


def test_no_bytecode_is_left_beside_the_file(tmp_path):
    path = tmp_path / "net.py"
    path.write_text("DTYPE = 'float32'\n")
    load_module(path)
    assert [p.name for p in tmp_path.iterdir()] == ["net.py"]
