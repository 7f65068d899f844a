"""The search for a model that breaks a law, and for the smallest one."""

from hypothesis import HealthCheck, Phase, given, reject, seed, settings
from tests.fuzz.models import models

from bpgen.errors import UnreachedError


class Broken(AssertionError):  # noqa: N818  it is what a model is
    """A law that a model breaks; `text` is the smallest such model that was found."""

    def __init__(self, text, why):
        super().__init__(
            f"{why}\n\nSave this as model.py, and run `bpgen check model.py`:\n\n{text}"
        )
        self.text = text


def search(law, *, networks, start):
    """Try `law` on random models; return of how many it is shown true.

    Errors: Broken, with the smallest model for which it is false or raises.
    """
    shown = 0

    @seed(start)
    @settings(
        max_examples=networks,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(models())
    def every(text):
        nonlocal shown
        why = ""
        try:
            shown += law(text)
        except UnreachedError:
            reject()  # its gradient cancels: bpgen refuses it, and says so
        except Exception as error:  # noqa: BLE001  whatever it is, the law is broken
            why = f"{type(error).__name__}: {error}"
        if why:  # without the error itself, whose place in an emitted file differs from run to run
            raise Broken(str(text), why)

    every()
    return shown
