"""Show training as it goes: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bpgen.execute.history import Epoch
from bpgen.execute.train import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_LINES = 10  # of a whole training


@contextmanager
def shown(console: Console, *, epochs: int, steps: int) -> Iterator[Progress]:
    """Yield the display that suits `console` for a training of so many epochs and steps."""
    if not console.is_terminal:
        yield Lines(console, epochs)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (BarColumn(bar_width=20), MofNCompleteColumn(), TimeRemainingColumn())
    text = TextColumn("{task.description}")
    with Bars(*columns, text, console=console) as bars:
        yield Bar(bars, bars.add_task("", total=steps))


@contextmanager
def stages(console: Console) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows which stage is in progress, on a terminal only."""
    if not console.is_terminal:
        yield lambda stage: None
        return
    with console.status("") as status:
        yield status.update


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar over all steps, with the scores of the last epoch beside it."""

    bars: Bars
    task: TaskID

    def step(self, steps: int) -> None:
        """Move the bar."""
        self.bars.update(self.task, completed=steps)

    def epoch(self, epoch: Epoch) -> None:
        """Show the scores."""
        self.bars.update(self.task, description=f"validation {epoch.validation}")


@dataclass(frozen=True, slots=True)
class Lines:
    """A line after the first epoch, the last, and some between."""

    console: Console
    epochs: int

    def step(self, steps: int) -> None:
        """Show nothing: a step is too short to tell of."""

    def epoch(self, epoch: Epoch) -> None:
        """Show the scores, if it is time."""
        if epoch.number in {1, self.epochs} or epoch.number % max(1, self.epochs // _LINES) == 0:
            self.console.print(
                f"epoch {epoch.number}: training {epoch.train}; validation {epoch.validation}"
            )
