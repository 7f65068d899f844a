"""A module against its certificate, without the declaration: same text, same numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bpgen.certify.certificate import FORM, digest_of, is_whole
from bpgen.certify.module import BrokenModuleError, File, read
from bpgen.certify.outcome import Examination
from bpgen.certify.own_loss import Seen, own_loss
from bpgen.errors import CertificateError
from bpgen.execute.probe import Probe
from bpgen.verify.draws import Draw, drawn
from bpgen.verify.numbers import Array
from bpgen.verify.witness import digest, direction

_PARAMETER, _NOISE = "parameter", "noise"


def rechecked(module: Path, certificate: Path) -> Examination:
    """Say whether `module` is what `certificate` was written for.

    Errors: CertificateError if the certificate is none, or was changed.
    """
    known = _certificate(certificate)
    file = read(module)
    named = {text: name for name, text in known["modules"].items()}
    name = named.get(digest_of(file.text), "")
    try:
        facts = list(_facts(file, known))
    except BrokenModuleError as error:
        return Examination("REFUTED", str(module), f"the module does not run: {error}")
    wrong = [text for title, text, is_right in facts if is_right is False]
    seen = [(title, text) for title, text, _ in facts]
    if not name:
        what = wrong[0] if wrong else "nothing that the certificate records comes out otherwise"
        reason = f"its text is not what was certified; {what}"
        return Examination("REFUTED", str(module), reason, tuple(seen))
    seen.insert(0, ("text", f"sha256 {digest_of(file.text)}, certified as {name}"))
    if wrong:
        return Examination("REFUTED", str(module), wrong[0], tuple(seen))
    if known["verdict"] != "VERIFIED":
        return Examination(known["verdict"], str(module), known["reason"], tuple(seen))
    if not any(is_right for _, _, is_right in facts):
        reason = "no point of the certificate could be drawn again"
        return Examination("UNDECIDED", str(module), reason, tuple(seen))
    return Examination("VERIFIED", str(module), "", tuple(seen))


def _certificate(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CertificateError(
            f"{path} is not a certificate",
            disagree=str(error),
            way_out="Write one: bpgen check MODEL --json > FILE",
        ) from None
    if not isinstance(known, dict) or known.get("form") != FORM:
        raise CertificateError(
            f"{path} is not a certificate",
            disagree=f'its "form" is not "{FORM}"',
            way_out="Write one: bpgen check MODEL --json > FILE",
        )
    if not is_whole(known):
        raise CertificateError(
            f"{path} was changed after it was written",
            rule="The last entry, the seal, is the hash of all others.",
            way_out="Write it anew: bpgen check MODEL --json > FILE",
        )
    return known


def _facts(file: File, known: Mapping[str, Any]) -> Iterator[Seen]:
    """Yield what is seen at every witness, and whether it is right; None if that cannot be said."""
    net = file.load()
    for number, entry in enumerate(known["witnesses"]):
        point = _point(entry)
        if digest(point.values) != entry["digest"]:
            what = "this numpy draws other numbers from the same seeds"
            yield entry["point"], what, None
            continue
        for dtype in dict.fromkeys(("float64", file.dtype)):
            probe = Probe(net, point.noise, dtype)
            yield file.run(partial(_compared, probe, point, entry))
        if number == 0:
            yield from file.run(
                partial(_own, Probe(net, point.noise, "float64"), point, entry, known)
            )


def _own(
    probe: Probe, point: _Point, entry: Mapping[str, Any], known: Mapping[str, Any]
) -> list[Seen]:
    way = direction(point.shapes, entry["directions"][0])
    return list(
        own_loss(
            probe,
            point.params,
            point.batch,
            way,
            loss=known["loss"],
            limits=entry["limits"]["float64"],
        )
    )


@dataclass(frozen=True, slots=True)
class _Point:
    values: Mapping[str, Array]
    params: dict[str, Array]
    batch: dict[str, Array]
    noise: tuple[str, ...]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {n: v.shape for n, v in self.params.items()}


def _point(entry: Mapping[str, Any]) -> _Point:
    names = [f.name for f in fields(Draw)]
    given = [Draw(**{n: d[n] for n in names}) for d in entry["draws"]]
    values = drawn(tuple(_with_shape(d) for d in given))
    own = [d.name for d in given if d.role == _PARAMETER]
    noise = tuple(d.name for d in given if d.role == _NOISE)
    params = {n: values[n] for n in own}
    batch = {n: v for n, v in values.items() if n not in params}
    return _Point(values, params, batch, noise)


def _with_shape(draw: Draw) -> Draw:
    known = {f.name: getattr(draw, f.name) for f in fields(Draw)}
    return Draw(**{**known, "shape": tuple(draw.shape)})


def _compared(probe: Probe, point: _Point, entry: Mapping[str, Any]) -> Seen:
    """Compare the loss and the slopes of every parameter with what is recorded."""
    loss, gradient = probe.gradient(point.params, point.batch)
    limits = entry["limits"][probe.dtype]
    errors = {"the loss": (abs(loss - entry["loss"]), limits["loss"])}
    for seed, slopes in zip(entry["directions"], entry["slopes"], strict=True):
        way = direction(point.shapes, seed)
        for name, recorded in slopes.items():
            found = _slope(gradient.get(name), way[name])
            gap, limit = abs(found - recorded), limits[name]
            worst = errors.get(name, (0.0, limit))
            errors[name] = (gap, limit) if not gap <= worst[0] else worst
    title = f"{entry['point']}"
    beyond = [n for n, (error, limit) in errors.items() if not error <= limit]
    if beyond:
        error, limit = errors[beyond[0]]
        what = f"{probe.dtype}: {beyond[0]} is off by {error:.1e}; rounding explains {limit:.1e}"
        return title, what, False
    count = len(entry["directions"])
    what = f"{probe.dtype}: loss and gradient as recorded, along {count} directions"
    return title, what, True


def _slope(gradient: Array | None, way: Array) -> float:
    if gradient is None or gradient.shape != way.shape:
        return float("nan")
    return float(np.sum(gradient.astype(np.float64) * way))
