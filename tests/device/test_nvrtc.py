"""NVIDIA's compiler takes every kernel of the zoo, for each kind of GPU, and spills nothing."""

import ast
import inspect
import re

import pytest

import bpgen as bp
from bpgen.declare.load import zoo
from bpgen.device.nvrtc import ARCHITECTURES, assembly, kernels_of, usage, wide_moves
from bpgen.targets.cupy import local

cupy = pytest.importorskip("cupy", reason="needs the extra `cuda`: CuPy and NVRTC")


@pytest.mark.parametrize(
    ("real", "precision"), [("float", "fp32"), ("double", "fp32"), ("float", "bf16")]
)
@pytest.mark.parametrize("model", zoo())
def test_every_kernel_compiles_and_keeps_all_in_registers(model, real, precision):
    source, kernels = kernels_of(bp.load(model).source("cupy", precision=precision))
    if precision == "bf16" and "narrow" not in source:
        pytest.skip("no library multiplies for it")
    for architecture in ARCHITECTURES if real == "float" else ("90",):
        found = usage(source, real, architecture)
        assert set(found) == set(kernels)
        for name, needs in found.items():
            assert needs.spills == 0, f"{name} spills on sm_{architecture}"
            # 128 registers leave room for two blocks of 256 threads.
            assert needs.registers <= 128, f"{name} takes {needs.registers} registers"


@pytest.mark.parametrize("model", zoo())
def test_maps_move_sixteen_bytes_at_once(model):
    source, kernels = kernels_of(bp.load(model).source("cupy"))
    found = {name: wide_moves(text) for name, text in assembly(source, "float").items()}
    text = {name: source.split(f"kernel_{name}(")[1].split("\n}")[0] for name in kernels}
    of_values = {name for name in kernels if "each_of(" in text[name]}
    assert "theta" in of_values
    assert all(found[name] for name in of_values)


def test_numbers_of_bf16_move_eight_at_once():
    source, _ = kernels_of(bp.load("char_gpt").source("cupy", precision="bf16"))
    ptx = assembly(source, "float")
    # z1 and gelu1 as bf16, 16 bytes each; Phi1 as float32, twice as many.
    # 16 bytes each of z1 and gelu1 in bf16, and twice as many of Phi1 in float32.
    assert wide_moves(ptx["gelu1"]) == 4
    assert wide_moves(ptx["theta_rounded_from_theta"]) == 3


@pytest.mark.parametrize("model", ["variational_autoencoder", "char_gpt", "mixture_density"])
def test_a_kernel_in_float_computes_nothing_in_double(model):
    """But for numbers that are given as such, once a launch, and a sine of huge angles."""
    source, _ = kernels_of(bp.load(model).source("cupy"))
    found = {name for name, text in assembly(source, "float").items() if ".f64" in text}
    allowed = {
        text.split("(")[0]
        for text in source.split("kernel_")[1:]
        if "double " in text or "sin(" in text or "cos(" in text
    }
    assert found <= allowed


HEADS = '''"""Twelve heads look back, each through 64 numbers."""
import bpgen as bp
from bpgen.layers import attention
from bpgen.losses import mean_squared_error
from bpgen.optimizers import sgd

x, y = bp.input("x", 1024, 768), bp.input("y", 1024, 768)
h = attention(x, 12, causal=True, name="att")
model = bp.Model(mean_squared_error(h, y), {"h": h}, sgd(0.1))
'''


def test_kernels_in_which_panels_end_keep_two_of_them_in_registers(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "is_worth", lambda *_: True)
    (tmp_path / "heads.py").write_text(HEADS, encoding="utf-8")
    source, kernels = kernels_of(bp.load(tmp_path / "heads.py").source("cupy"))
    ends = {name for name in kernels if "_of_panel<" in source.split(f"kernel_{name}(")[1][:400]}
    assert len(ends) == 7
    for architecture in ARCHITECTURES:
        found = usage(source, "float", architecture)
        assert all(found[name].spills == 0 and found[name].registers <= 128 for name in ends)
    found = usage(source, "double", "90")
    assert all(found[name].spills == 0 for name in ends)
    text = assembly(source, "float")
    assert all("ld.shared.v4" in text[name] for name in ends), "four rows of a tile at once"


def test_kernels_that_draw_noise_compile_for_every_gpu_and_compute_nothing_in_double(noisy):
    source, kernels = kernels_of(bp.load(noisy).source("cupy"))
    drawn = {name for name in kernels if "each_random(" in source.split(f"kernel_{name}(")[1][:300]}
    assert {"mask1", "turned", "single"} <= drawn
    for architecture in ARCHITECTURES:
        found = usage(source, "float", architecture)
        assert all(found[name].spills == 0 and found[name].registers <= 64 for name in drawn)
    ptx = assembly(source, "float")
    assert not any(".f64" in ptx[name] for name in drawn)


def test_everything_that_a_module_takes_from_cupy_exists_there():
    """Attributes by name, and calls by the arguments they are given, of the CuPy installed."""
    seen = set()
    for model in zoo():
        for node in ast.walk(ast.parse(bp.load(model).source("cupy"))):
            if isinstance(node, ast.Attribute) and re.fullmatch(r"cp[.\w]+", ast.unparse(node)):
                thing = cupy
                for name in ast.unparse(node).split(".")[1:]:
                    thing = getattr(thing, name)
                seen.add(ast.unparse(node))
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("cp."):
                thing = cupy
                for name in ast.unparse(node.func).split(".")[1:]:
                    thing = getattr(thing, name)
                assert_binds(thing, node)
    assert {"cp.RawModule", "cp.empty", "cp.cuda.Stream"} <= seen


def assert_binds(thing, call):
    """Bind a call to the signature of what it calls, where Python knows that."""
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return
    signature.bind(*call.args, **{k.arg: k.value for k in call.keywords})


def test_methods_of_arrays_and_streams_exist():
    """What modules call on arrays, streams and graphs; the stand-in offers the same."""
    from bpgen.device import arrays, standin, streams

    for real, ours in (
        (cupy.ndarray, arrays.ndarray),
        (cupy.cuda.Stream, streams.Stream),
        (cupy.cuda.Event, streams.Event),
        (cupy.cuda.Graph, streams.Graph),
        (cupy.RawModule, standin.RawModule),
    ):
        for name in vars(ours):
            if re.match("[a-z]", name) and name not in {
                "memory",
                "assert_intact",
                "place",
                "moment",
            }:
                assert hasattr(real, name), f"{real.__name__} has no {name}"
