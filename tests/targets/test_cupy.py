"""Every kind of statement, spelled in CUDA C++, computes what the interpreter computes.

The kernels are compiled for the CPU; three orders of threads and poisoned memory show a missing
barrier.
"""

from dataclasses import replace

import numpy as np
import pytest
import sympy
from tests.device.source import source_of_kernels
from tests.targets.test_numpy import MAPS, STACKS, TENSORS, d, g, h, k, n, out, values, x

from bpgen.device.host import HostModule, has_compiler
from bpgen.errors import TargetError
from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Delta, Pad, Where, access
from bpgen.ir.index import Index, index
from bpgen.ir.tensor import Role, Tensor
from bpgen.lower.statements import step
from bpgen.spell import FormulaSpeller
from bpgen.targets.cupy.groups import kernels_of
from bpgen.targets.cupy.kernel import Launch
from bpgen.targets.cupy.local import local_of
from bpgen.targets.cupy.memory import Memory
from bpgen.targets.cupy.target import CupyTarget
from bpgen.verify.interpret import evaluate
from bpgen.verify.numbers import FLOAT64

pytestmark = pytest.mark.skipif(not has_compiler(), reason="needs g++")

Q, W, b, m = (TENSORS[name].canonical for name in "QWbm")
y = TENSORS["y"].canonical
a, u = index("a", 13), index("u", 3)
SIGNAL = Tensor("signal", (n, index("r", 17)), Role.INPUT)
KERNEL = Tensor("taps", (u, d), Role.INPUT)
LONG = Tensor("long", (index("j", 1013), h), Role.INPUT)
j = LONG.indices[0]
AT = Tensor("at", (n, d), Role.LABEL, below=5)


def compute(equations, given, extents, real="double", more=(), *, results=None):
    """Run the kernels of `equations`; return all results, and the kernels.

    If `results` are named, nothing else must be in memory.
    """
    tensors = {t.name: t for t in (*TENSORS.values(), SIGNAL, KERNEL, LONG, AT, *more)}
    tensors |= {e.out.name: e.out for e in equations}
    names = {name: f"device['{name}']" for name in tensors}
    steps, memory = [step(e, tensors) for e in equations], Memory(tensors, names, {}, {})
    if results is not None:
        memory = replace(memory, local=local_of([*kernels_of([steps], memory)], memory, results))
        equations = [e for e in equations if e.out.name not in memory.local]
    target = CupyTarget(memory, FormulaSpeller(), {})
    launches = target.launches(steps, "forward")
    free = {e: size for e, size in extents.items() if e.value is None}
    module = HostModule(source_of_kernels(target.kernels.values(), tensors.values()), real)
    dtype = {"double": np.float64, "float": np.float32}[real]
    found = []
    for seed in (0, 1, 2):
        device = {
            name: np.ascontiguousarray(v, np.int32 if tensors[name].is_integer else dtype)
            for name, v in given.items()
        }
        for e in equations:
            shape = [extents[i.extent] for i in e.out.indices]
            device[e.out.name] = np.full(shape, 99, np.int32 if e.out.is_integer else dtype)
        space = {"device": device, "k": Launcher(module, seed)}
        space |= {e.name: size for e, size in extents.items()} | {
            e.name: s for e, s in free.items()
        }
        for launch in launches:
            assert isinstance(launch, Launch)
            exec(launch.line, space)  # noqa: S102  a line that bpgen spelled itself
        found.append({e.out.name: device[e.out.name] for e in equations})
    for other in found[1:]:
        for name, array in other.items():
            np.testing.assert_array_equal(array, found[0][name], err_msg="the order of threads")
    return found[0], target.kernels


class Launcher:
    """What emitted code calls `k`."""

    def __init__(self, module, seed):
        self._module, self._seed = module, seed

    def __getattr__(self, method):
        sizes = 4 if method == "product" else 1

        def launch(name, *args):
            given = [np.int32(arg) if isinstance(arg, int) else arg for arg in args[sizes:]]
            self._module.launch(f"kernel_{name}", 3, 256, given, self._seed)

        return launch


def given():
    """Return random values of every tensor."""
    rng = np.random.default_rng(7)
    more = {t.name: rng.normal(size=[i or 1 for i in t.shape]) for t in (KERNEL, LONG)}
    return {
        **values(),
        **more,
        "signal": rng.normal(size=(2, 17)),
        "at": rng.integers(5, size=(2, 3)),
    }


def assert_computed(*equations, results=None):
    """Compare with the interpreter, in float64; if `results` are named, nothing else is left."""
    known = given()
    indices: set[Index] = {i for e in equations for i in e.out.indices}
    indices |= {i for e in equations for t in e.terms for i in t.over} | {n, d, h, k, g}
    extents = {i.extent: i.extent.value or 2 for i in indices}
    found, kernels = compute(equations, known, extents, results=results)
    expected = evaluate(equations, known, extents, FLOAT64)
    assert results is None or set(found) == set(results)
    for e in (e for e in equations if e.out.name in found):
        text = "\n".join(line for kernel in kernels.values() for line in kernel.lines)
        np.testing.assert_allclose(
            found[e.out.name], expected[e.out.name], rtol=1e-12, atol=1e-13, err_msg=text
        )
    return kernels


@pytest.mark.parametrize("part", range(4))
def test_a_map_computes_its_formula(part):
    bodies = MAPS[part::4]
    assert_computed(
        *(
            Equation(Tensor(f"out{place}", (n, d), Role.ACTIVATION), (Term(body),))
            for place, body in enumerate(bodies)
        )
    )


SUMS = [
    Equation(out(n, h), (Term(x * W, (d,)), Term(b))),
    Equation(out(h, n), (Term(x * W, (d,)),)),
    Equation(out(n), (Term(x**2, (d,)),)),
    Equation(out(d), (Term(x**2 / n.extent, (n,)),)),
    Equation(out(h, n), (Term(Q, (d,)),)),
    Equation(out(n, h), (Term(x, (d,)),)),
    Equation(out(), (Term(Q**2 * sympy.Rational(1, 3), (n, d, h)),)),
    Equation(out(n, h), (Term(m * x * W, (d,)), Term(Q, (d,)), Term(b * m))),
    Equation(out(d), (Term(access("A", [d, d])),)),
    Equation(out(h), (Term(Delta(h, y) * m, (n,)),)),
    Equation(out(n, d, h), (Term(Q * m), Term(x * b))),
    Equation(out(n, h), (Term(x * W * Q, (d,)),)),
    Equation(out(d, n, k), (Term(Q * access("P", [n, k, h]), (h,)),)),
    Equation(out(d, h), (Term(x * access("Q", [n, sympy.Integer(1), h]), (n,)),)),
    Equation(out(h), (Term(LONG.canonical, (j,)),)),
    Equation(out(n), (Term(LONG.canonical * m, (j, h)),)),
    Equation(out(n), (Term(-x, (d,)), Term(-m))),
    *STACKS,
]


@pytest.mark.parametrize("equation", SUMS, ids=lambda e: f"{e.out.canonical}{e.terms[0]}")
def test_a_sum_computes_its_formula(equation):
    assert_computed(equation)


WINDOWS = [
    Equation(
        out(n, d, a), (Term(access("signal", [n, a + 2 * u]) * access("taps", [u, d]), (u,)),)
    ),
    Equation(
        out(n, a),
        (
            Term(
                Pad(access("signal", [n, a - 2])),
            ),
        ),
    ),
    Equation(
        out(n, a),
        (
            Term(
                Pad(access("signal", [n, a + 5]), -7),
            ),
        ),
    ),
    Equation(out(n, d), (Term(access("R", [y, d])),)),
    Equation(out(n), (Term(access("Q", [n, sympy.Integer(2), y])),)),
    Equation(out(h, k), (Term(Delta(h, AT.canonical) * Delta(k, y) * x, (n, d)),)),
    Equation(out(n, d), (Term(Where(h.extent > 3, x, m)),)),
]


@pytest.mark.parametrize("equation", WINDOWS, ids=lambda e: str(e.terms[0].body))
def test_windows_borders_and_addresses_are_arithmetic_on_indices(equation):
    assert_computed(equation)


WORDS = Tensor("words", (index("j", 1013), n), Role.LABEL, below=131)
word = index("w", 131)


@pytest.mark.parametrize("wide", [index("c", 7), index("c", 293)], ids=["a part", "parts"])
def test_each_of_many_rows_adds_up_what_is_sent_to_it(wide):
    """Words that are never sent leave zeros; those sent often are added in their order."""
    rng = np.random.default_rng(5)
    far = Tensor("far", (j, wide), Role.INPUT)
    known = {
        "words": rng.integers(97, size=(1013, 2)) ** 2 % 131,
        "far": rng.normal(size=(1013, wide.extent.value)),
        "m": rng.normal(size=2),
    }
    body = Delta(word, WORDS.canonical) * far.canonical * m / 3
    out_of = Tensor("sent", (word, wide), Role.ACTIVATION)
    first = Equation(out_of, (Term(body, (j, n)),))
    after = Equation(
        Tensor("after", (word, wide), Role.ACTIVATION), (Term(out_of.canonical**2 + 1),)
    )
    extents = {i.extent: i.extent.value or 2 for i in (word, wide, j, n)}
    found, kernels = compute([first, after], known, extents, more=(WORDS, far))
    assert len(kernels) == 1
    assert "by_match(" in "\n".join(kernels["after"].lines)
    expected = evaluate([first, after], known, extents, FLOAT64)
    assert (expected["sent"] == 0).any()
    for name in ("sent", "after"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("axes", [(n, (d,)), (d, (n,)), (h, (j,))])
def test_a_maximum_and_its_address(axes):
    kept, over = axes
    body = LONG.canonical if j in over else x
    assert_computed(Equation(out(kept), (Term(body, over),), Op.MAX))
    assert_computed(Equation(out(kept, role=Role.ADDRESS), (Term(body, over),), Op.ARGMAX))


def chained(*pairs):
    """Return equations that are written by name, formula and sum."""
    return [
        Equation(Tensor(name, axes, Role.ACTIVATION), (Term(body, over),))
        for name, axes, body, over in pairs
    ]


def test_maps_that_follow_are_computed_where_a_result_is_stored():
    z, s = access("z", [n, h]), access("s", [n])
    kernels = assert_computed(
        *chained(
            ("z", (n, h), x * W, (d,)),
            ("r", (n, h), Where(z > 0, z, 0), ()),
            ("s", (n,), access("r", [n, h]), (h,)),
            ("t", (n, h), access("r", [n, h]) / (1 + s**2), ()),
        )
    )
    assert list(kernels) == ["r", "t"]


WIDTHS = pytest.mark.parametrize("wide", [k, index("w", 1031)], ids=["a warp", "a block"])


@WIDTHS
def test_a_softmax_and_what_follows_along_its_rows_is_one_kernel(wide):
    z, e, p = (access(name, [n, wide]) for name in "zep")
    m, s = access("m1", [n]), access("s", [n])
    first, *others = chained(
        ("z", (n, wide), sympy.sin(3 * wide + 2 * n), ()),
        ("m1", (n,), z, (wide,)),
        ("e", (n, wide), sympy.exp(z - m), ()),
        ("s", (n,), e, (wide,)),
        ("p", (n, wide), e / s, ()),
        ("q", (n, wide), p * access("p", [n, sympy.S.One]), ()),
        ("last", (n,), access("q", [n, sympy.Integer(wide.extent.value - 1)]), ()),
        ("square", (n,), p * access("q", [n, wide]), (wide,)),
    )
    largest = Equation(others[0].out, others[0].terms, Op.MAX)
    kernels = assert_computed(first, largest, *others[1:])
    assert list(kernels) == ["square"]


@WIDTHS
@pytest.mark.parametrize("results", [{"q"}, {"p", "q"}, {"s", "q"}, {"e", "r", "q"}])
def test_what_nobody_reads_but_its_kernel_is_in_no_memory(wide, results):
    """Numbers of a row, entries along it, and both in turn; whatever else is asked for is kept."""
    z, e, p, u = (access(name, [n, wide]) for name in "zepu")
    m, s, r = (access(name, [n]) for name in ("m1", "s", "r"))
    first, *others = chained(
        ("z", (n, wide), sympy.sin(3 * wide + 2 * n), ()),
        ("m1", (n,), z, (wide,)),
        ("u", (n, wide), z - m, ()),
        ("e", (n, wide), sympy.exp(u), ()),
        ("s", (n,), e, (wide,)),
        ("r", (n,), 1 / s, ()),
        ("p", (n, wide), e * r, ()),
        ("w", (n,), p * u, (wide,)),
        ("q", (n, wide), p * (u - access("w", [n])), ()),
    )
    largest = Equation(others[0].out, others[0].terms, Op.MAX)
    kernels = assert_computed(first, largest, *others[1:], results={"z", *results})
    assert list(kernels) == ["q"]


def test_what_is_read_elsewhere_or_at_another_entry_or_is_added_to_is_in_memory():
    z, r, s = access("z", [n, h]), access("r", [n, h]), access("s", [n, h])
    equations = chained(
        ("z", (n, h), x * W, (d,)),
        ("r", (n, h), sympy.sin(z), ()),
        ("t", (n, h), r + access("r", [n, sympy.Integer(0)]), ()),
        ("s", (n, h), r * x**2, (d,)),
        ("v", (n, h), 2 * s, ()),
        ("y1", (h,), access("v", [n, h]), (n,)),
    )
    several = Equation(equations[3].out, (*equations[3].terms, Term(x * W, (d,))))
    equations[3] = several
    assert_computed(*equations, results={"r", "t", "s", "v", "y1"})


def test_a_map_that_reads_another_entry_waits_for_the_kernel_before_it():
    kernels = assert_computed(
        *chained(
            ("z", (d,), 2 * access("A", [d, d]), ()),
            ("r", (d,), access("z", [2 - d]), ()),
        )
    )
    assert list(kernels) == ["z", "r"]


def test_kernels_that_differ_by_names_alone_are_kept_once():
    z, r = access("z", [n, h]), access("r", [n, h])
    kernels = assert_computed(
        *chained(
            ("z", (n, h), x * W, (d,)),
            ("s", (h,), z, (n,)),
            ("r", (n, h), access("s", [h]) * z, ()),
            ("t", (h,), r, (n,)),
        )
    )
    assert list(kernels) == ["z", "s", "r"]
    assert kernels["s"].likewise == ("t",)


@pytest.mark.parametrize("rows", [1, 31, 1_048_579])
def test_sizes_below_a_warp_and_above_a_million(rows):
    """In float32; a float64 sum of the same numbers is the truth."""
    row = index("n", None)
    z = Tensor("rows", (row, d), Role.INPUT)
    numbers = np.random.default_rng(1).normal(size=(rows, 3)).astype(np.float32)
    equations = chained(
        ("square", (row, d), z.canonical**2, ()),
        ("columns", (d,), access("square", [row, d]), (row,)),
        ("total", (), access("square", [row, d]), (row, d)),
        ("gram", (d, h), z.canonical * access("far", [row, h]), (row,)),
    )
    far = np.random.default_rng(2).normal(size=(rows, 5)).astype(np.float32)
    extents = {row.extent: rows, d.extent: 3, h.extent: 5}
    known = {"rows": numbers, "far": far}
    more = (z, Tensor("far", (row, h), Role.INPUT))
    found, _ = compute(equations, known, extents, "float", more)
    square = numbers.astype(np.float64) ** 2
    np.testing.assert_allclose(found["square"], square, rtol=1e-6)
    np.testing.assert_allclose(found["columns"], square.sum(axis=0), rtol=1e-4)
    np.testing.assert_allclose(found["total"], square.sum(), rtol=1e-4)
    gram = numbers.T.astype(np.float64) @ far
    np.testing.assert_allclose(found["gram"], gram, rtol=1e-4, atol=1e-5 * rows**0.5)


def test_a_function_without_a_spelling_names_the_file_to_edit():
    with pytest.raises(TargetError, match="CUDA has no spelling for gamma") as caught:
        assert_computed(Equation(out(n, d), (Term(sympy.gamma(x)),)))
    assert "targets/cupy" in str(caught.value)


def test_a_nan_is_handed_on_by_a_maximum():
    numbers = np.array([[1.0, np.nan, 2.0], [np.nan, 0.0, -1.0]])
    equations = [
        Equation(out(n), (Term(x, (d,)),), Op.MAX),
        *chained(("r", (n, d), Where(x > 0, x, 0), ())),
    ]
    found, _ = compute(equations, {"x": numbers}, {n.extent: 2, d.extent: 3})
    assert np.isnan(found["out"]).all()
    np.testing.assert_array_equal(np.isnan(found["r"]), np.isnan(numbers))
