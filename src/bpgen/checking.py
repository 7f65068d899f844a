"""What `bpgen check` does with its options: a verdict, a certificate, a sweep, a comparison."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from bpgen.errors import MissingPackageError
from bpgen.execute.progress import stages

_GRAVEST = ("REFUTED", "UNDECIDED", "VERIFIED")  # one of them decides for all

if TYPE_CHECKING:
    from rich.console import Console

    from bpgen.against.framework import Framework
    from bpgen.model import Model


def checked(
    model: str,
    console: Console,
    *,
    module: Path | None = None,
    certificate: Path | None = None,
    **options: Any,
) -> tuple[str, str]:
    """Return the verdict, and what to print of it."""
    as_json = options["as_json"]
    ways = [module is not None, certificate is not None, options["against"], options["sweep"]]
    if sum(map(bool, ways)) > 1:
        raise click.UsageError("--against, --sweep, --module and --certificate are one each.")
    if options["output"] is not None and not options["sweep"]:
        raise click.UsageError("-o is where --sweep draws; add --sweep, or leave -o out.")
    if certificate is not None:
        from bpgen.certify import rechecked

        found = rechecked(Path(model), certificate)
        return found.verdict, _shown(found.to_json() if as_json else str(found))
    if options["against"]:
        from bpgen.against.compare import against

        framework = _framework(options["against"])
        compared = against(model, framework, options["seed"])
        return compared.verdict, _shown(compared.to_json() if as_json else str(compared))
    from bpgen.model import load

    loaded = load(model)
    if module is not None:
        examined = loaded.examine(module, options["seed"])
        return examined.verdict, _shown(examined.to_json() if as_json else str(examined))
    if options["sweep"]:
        return _sweep(loaded, console, options)
    return _verdict(loaded, console, options)


def _framework(name: str) -> Framework:
    """Return the counterparts in a framework.

    Errors: MissingPackageError if it is not installed.
    """
    try:
        return cast("Framework", import_module(f"bpgen.against.{name}"))
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{error.name} is not installed",
            rule=f"--against {name} compares with {name} itself.",
            way_out='Install the frameworks: pip install "bpgen[oracle]"',
        ) from None


def _sweep(model: Model, console: Console, options: dict[str, Any]) -> tuple[str, str]:
    from bpgen.execute.sweep import draw
    from bpgen.verify.sweep import sweep

    derivation = model.derive().derivation
    with stages(console) as stage:
        found = sweep(model.network, derivation, options["seed"], stage)
    if options["output"] is not None:
        draw(options["output"], found)
        console.print(f"Wrote {options['output']}")
    return found.verdict, _shown(found.to_json() if options["as_json"] else str(found))


def _verdict(model: Model, console: Console, options: dict[str, Any]) -> tuple[str, str]:
    """Check the gradients, and second derivatives at the same seed where they are asked for."""
    as_json, order = options["as_json"], options["jet"]
    with stages(console) as stage:
        verdict = model.check(seed=options["seed"], progress=stage, target=options["target"])
        second = None
        if options["second"] or order:
            second = model.check_second(verdict.seed, order, stage)
        words = {verdict.verdict} | ({second.verdict} if second else set())
        word = next(w for w in _GRAVEST if w in words)
        if not as_json:
            return word, "\n\n".join(map(str, (verdict, second) if second else (verdict,)))
        stage("certificate")
        found = model.certificate(verdict, options["target"])
        return word, _shown({**found, "second": second.to_json()} if second else found)


def _shown(found: dict[str, Any] | str) -> str:
    return found if isinstance(found, str) else json.dumps(found, indent=2, ensure_ascii=False)
