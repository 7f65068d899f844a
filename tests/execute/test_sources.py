"""Every kind of source gives the same arrays; every fault of a source is told of."""

import numpy as np
import pytest

import bpgen as bp
from bpgen.errors import (
    DataFileError,
    MissingInputError,
    TableError,
    UnknownNameError,
)
from bpgen.execute.dataset import read
from bpgen.execute.sources import built_in
from bpgen.ir.tensor import Role, Tensor

N = 11
X = np.arange(3.0 * N).reshape(N, 3) / 7
Y = np.arange(N) % 5


def inputs():
    n, d = bp.input("x", 3).indices
    return (Tensor("x", (n, d), Role.INPUT), Tensor("y", (n,), Role.LABEL, below=5))


def read_all(*given, label=()):
    return read([str(source) for source in given], inputs(), label=label, dtype="float64").arrays


def csv_of(path, header, rows, separator=","):
    lines = [separator.join(header), *(separator.join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def sources(tmp_path):
    np.savez(tmp_path / "all.npz", x=X, y=Y, more=X)
    folder = tmp_path / "folder"
    folder.mkdir()
    np.save(folder / "x.npy", X)
    np.save(folder / "y.npy", Y)
    return tmp_path


def test_an_archive_a_folder_named_files_and_a_table_agree(sources):
    rows = np.column_stack([Y, X]).tolist()
    table = csv_of(sources / "t.csv", ["kind", "a", "b", "c"], rows)
    semicolons = csv_of(sources / "s.csv", ["y", "a", "b", "c"], rows, separator=";")
    folder = sources / "folder"
    for arrays in (
        read_all(sources / "all.npz"),
        read_all(folder),
        read_all(f"x={folder / 'x.npy'}", f"y={folder / 'y.npy'}"),
        read_all(table, label=["kind"]),
        read_all(semicolons),
    ):
        assert list(arrays) == ["x", "y"]
        np.testing.assert_array_equal(arrays["x"], X)
        np.testing.assert_array_equal(arrays["y"], Y)


def test_one_array_alone_serves_a_model_of_one_input(sources):
    path = sources / "folder" / "x.npy"
    arrays = read([str(path)], inputs()[:1], dtype="float64").arrays
    np.testing.assert_array_equal(arrays["x"], X)


def test_a_target_of_several_columns_goes_to_the_last_input(tmp_path):
    n, d = bp.input("x", 3).indices
    targets = (Tensor("x", (n, d), Role.INPUT), Tensor("y", (n, bp.index("e", 2)), Role.INPUT))
    table = csv_of(tmp_path / "t.csv", list("abcpq"), np.column_stack([X, X[:, :2]]).tolist())
    arrays = read([str(table)], targets, label=["p", "q"], dtype="float64").arrays
    np.testing.assert_array_equal(arrays["x"], X)
    np.testing.assert_array_equal(arrays["y"], X[:, :2])


@pytest.mark.parametrize("name", ["digits", "wine", "diabetes"])
def test_the_shipped_data_sets_are_plain_arrays(name):
    with np.load(built_in()[name], allow_pickle=False) as archive:
        assert archive["x"].dtype == np.float32
        assert len(archive.files) == 2
        assert len({len(archive[key]) for key in archive.files}) == 1


def object_array(folder):
    np.save(folder / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    return f"x={folder / 'o.npy'}"


def truncated(folder):
    whole = (folder / "all.npz").read_bytes()
    (folder / "half.npz").write_bytes(whole[: len(whole) // 2])
    return folder / "half.npz"


FAULTS = {
    "missing": (lambda f: f / "al.npz", DataFileError, "Did you mean `all.npz`"),
    "a built-in name misspelt": (lambda _: "digts", DataFileError, "Did you mean `digits`"),
    "unknown format": (lambda f: _touch(f / "x.pickle"), DataFileError, "ends in .pickle"),
    "no suffix": (lambda f: _touch(f / "x"), DataFileError, "ends in nothing"),
    "pickled objects": (object_array, DataFileError, "refused"),
    "truncated": (truncated, DataFileError, "half.npz cannot be read"),
    "an archive for one array": (lambda f: f"x={f / 'all.npz'}", DataFileError, "holds 3 arrays"),
    "one array for two inputs": (lambda f: f / "folder" / "x.npy", DataFileError, "--data y="),
    "an input without array": (lambda _: "digits", MissingInputError, "it holds digit, x"),
}


def _touch(path):
    path.touch()
    return path


@pytest.mark.parametrize("fault", FAULTS)
def test_a_source_that_does_not_serve_is_told_of(fault, sources):
    make, kind, words = FAULTS[fault]
    with pytest.raises(kind) as caught:
        read_all(make(sources))
    assert words in str(caught.value)
    assert caught.value.exit_status == 5


def test_two_sources_without_names_are_one_too_many(sources):
    with pytest.raises(DataFileError, match="names 2 sources"):
        read_all(sources / "all.npz", "digits")


TABLES = {
    "no header": ("1,2,3,4\n1,2,3,4\n", "it holds no names"),
    "a name twice": ("a,b,b,y\n1,2,3,4\n", "names `b` twice"),
    "ragged": ("a,b,c,y\n1,2,3,4\n1,2,3\n", "line 3"),
    "decimal comma": ('a,b,c,y\n1,"2,5",3,4\n', "column `b`: not a number"),
    "text": ("a,b,c,y\n1,2,3,red\n", "the cell is 'red'"),
    "empty cell": ("a,b,c,y\n1,,3,4\n", "the cell is ''"),
    "two inputs unsaid": ("a,b,c,d\n1,2,3,4\n", "`x`, `y`"),
}


@pytest.mark.parametrize("fault", TABLES)
def test_a_table_that_cannot_be_read_names_the_place(fault, tmp_path):
    text, words = TABLES[fault]
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(TableError) as caught:
        read_all(tmp_path / "t.csv")
    assert words in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    (tmp_path / "t.csv").write_text("y,a,b,c\n1,2,3,4\n", encoding="utf-8-sig")
    assert read_all(tmp_path / "t.csv")["y"].tolist() == [1]


def test_an_unknown_label_column_gets_a_suggestion(tmp_path):
    table = csv_of(tmp_path / "t.csv", ["kind", "a", "b", "c"], [[1, 2, 3, 4]])
    with pytest.raises(UnknownNameError, match="no column `kid`") as caught:
        read_all(table, label=["kid"])
    assert "Did you mean `kind`?" in str(caught.value)
