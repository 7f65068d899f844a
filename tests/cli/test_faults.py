"""One row for each mistake of a user: exit status, line, no traceback, no partial file."""

import numpy as np
import pytest

GOOD = '''"""Two layers."""
import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import sgd
x = bp.input("x", 3)
y = bp.label("y", classes=5)
h = relu(linear(x, 7, name="fc1"))
z = linear(h, 5, name="fc2")
loss = softmax_cross_entropy(z, y)
model = bp.Model(loss=loss, outputs={"z": z}, optimizer=sgd(0.1))
'''

# The line that is wrong, what stands there, the error, and words of its message.
DECLARATIONS = {
    "an unknown index": (
        9,
        'n, d = x.indices; k = bp.index("k", 7); h = bp.define("h", (n, k), x[n, d])',
        "IndexUseError [BPG106]",
        "`d`",
    ),
    "extents that disagree": (
        9,
        'n, d = x.indices; k = bp.index("k", 7); h = bp.define("h", (n, k), x[n, k])',
        "ShapeError [BPG101]",
        "D = 3",
    ),
    "inputs that disagree": (
        9,
        'h = linear(x, 7, inputs=5, name="fc1")',
        "ShapeError [BPG101]",
        "inputs=5",
    ),
    "a name used twice": (
        10,
        'z = linear(h, 5, name="fc1")',
        "NameTakenError [BPG103]",
        "`fc1_W` is used twice",
    ),
    "a name that is none": (
        9,
        'h = linear(x, 7, name="fc 1")',
        "NameSyntaxError [BPG104]",
        "fc_1",
    ),
    "an extent of zero": (7, 'x = bp.input("x", 0)', "ExtentError [BPG105]", "it is 0"),
    "a loss that is no scalar": (11, "loss = z * z", "LossError [BPG108]", "not a scalar"),
    "a loss that is given": (11, 'loss = bp.parameter("a")', "LossError [BPG108]", "given"),
    "a loss without parameters": (
        11,
        'loss = bp.define("L", (), bp.mean(x[x.indices] ** 2, over=x.indices))',
        "LossError [BPG108]",
        "no parameter",
    ),
    "a function outside the language": (
        9,
        'import sympy; n, d = x.indices; h = bp.define("h", (n, d), sympy.gamma(x[n, d]))',
        "FormulaError [BPG109]",
        "gamma",
    ),
    "a parameter that never reaches the loss": (
        10,
        'z = linear(h, 5, name="fc2"); unused = linear(h, 2, name="fc3")',
        "UnreachedError [BPG107]",
        "`fc3_",
    ),
    "a syntax error": (9, "h = relu(linear(x, 7", "LoadError [BPG001]", "was never closed"),
    "an exception": (9, "h = 1 / 0", "LoadError [BPG001]", "division by zero"),
    "an exit": (9, "raise SystemExit(0)", "LoadError [BPG001]", "SystemExit"),
    "an unknown layer": (4, "from bpgen.layers import liner", "LoadError [BPG001]", "liner"),
    "a missing package": (9, "import surely_not_there", "LoadError [BPG001]", "surely_not_there"),
}


def with_line(number, line):
    lines = GOOD.splitlines()
    lines[number - 1] = line
    return "\n".join(lines) + "\n"


def assert_told(result, status, *words):
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("fault", DECLARATIONS)
def test_a_wrong_declaration_is_told_of_with_its_line(fault, folder, bpgen, files):
    number, line, *words = DECLARATIONS[fault]
    (folder / "model.py").write_text(with_line(number, line))
    for command in (["derive", "-o", "d.txt"], ["emit"]):
        assert_told(bpgen(*command), 3, *words, f"model.py:{number}")
        assert files() == {"model.py"}


def test_a_file_without_model_is_told_of(folder, bpgen):
    (folder / "model.py").write_text(with_line(12, ""))
    assert_told(bpgen("derive"), 3, "NoModelError [BPG005]", "model.py", "model = ")


def test_a_missing_file_is_told_of(bpgen):
    assert_told(bpgen("derive"), 2, "MissingFileError [BPG002]", "model.py", "bpgen new")


def test_a_zoo_model_misspelt_gets_a_suggestion(bpgen):
    assert_told(bpgen("derive", "digit_mlp"), 2, "MissingFileError [BPG002]", "digits_mlp")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["derive", "--wrt", "fc1_V"], "`fc1_W`"),
        (["derive", "--format", "pdf"], "'pdf'"),
        (["check", "--seed", "-1"], "--seed"),
        (["train", "--data", "d.npz", "--epochs", "0"], "--epochs"),
        (["train", "--data", "d.npz", "--batch", "0"], "--batch"),
        (["train"], "--data"),
        (["train", "--all", "--data", "d.npz"], "--all"),
        (["emit", "--target", "fortran"], "'fortran'"),
        (["explain", "BPG201x"], "`BPG201`"),
        (["derve"], "derive"),
    ],
)
def test_a_wrong_command_line_is_told_of(words, said, folder, bpgen, files):
    (folder / "model.py").write_text(GOOD)
    assert_told(bpgen(*words), 2, said)
    assert files() == {"model.py"}


def arrays(**changed):
    rows = 40
    good = {"x": np.ones((rows, 3)), "y": np.arange(rows) % 5}
    return good | changed


def spoilt():
    x = np.ones((40, 3))
    x[2, 1] = np.nan
    return x


DATA = {
    "a missing file": (
        None,
        "DataFileError",
        "Known: diabetes, digits, inverse_problem, sung_notes, topics, wine.",
    ),
    "a missing array": ({"x": np.ones((40, 3))}, "MissingInputError", "model.py:8"),
    "another shape": (arrays(x=np.ones((40, 4))), "DataShapeError", "model.py:7"),
    "an entry that is no number": (arrays(x=spoilt()), "NotANumberError", "row 2, column 1"),
    "labels out of range": (arrays(y=np.arange(40) % 6), "LabelError", "model.py:8"),
    "other lengths": (arrays(y=np.zeros(39)), "LengthError", "39 rows"),
    "no rows": ({"x": np.ones((0, 3)), "y": np.zeros(0)}, "TooFewRowsError", "empty"),
    "fewer rows than a batch": (arrays(), "TooFewRowsError", "a batch takes 64"),
}


@pytest.mark.parametrize("fault", DATA)
def test_wrong_data_are_told_of_before_anything_is_written(fault, folder, bpgen, files):
    (folder / "model.py").write_text(GOOD)
    made, *words = DATA[fault]
    if made is not None:
        np.savez(folder / "data.npz", **made)
    before = files()
    assert_told(bpgen("train", "--data", "data.npz"), 5, *words)
    assert files() == before


def test_a_traceback_is_shown_on_request(folder, bpgen):
    from bpgen.errors import ShapeError

    (folder / "model.py").write_text(with_line(9, 'h = linear(x, 7, inputs=5, name="fc1")'))
    with pytest.raises(ShapeError):
        bpgen("--traceback", "derive")


def test_a_file_that_cannot_be_written_is_told_of(folder, bpgen):
    (folder / "model.py").write_text(GOOD)
    assert_told(bpgen("derive", "-o", "model.py/d.txt"), 7, "FileError [BPG302]", "d.txt")


def test_no_model_is_written_over(folder, bpgen):
    (folder / "model.py").write_text(GOOD)
    assert_told(bpgen("new", "net"), 7, "FileError [BPG302]", "model.py")
    assert (folder / "model.py").read_text() == GOOD
