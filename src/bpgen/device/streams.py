"""Streams, events and graphs, by CuPy's names; work is done at once, and its order is watched."""

from __future__ import annotations

from collections.abc import Sequence

from bpgen.device.arrays import Device, Work
from bpgen.device.fault import require
from bpgen.device.order import HOST, Known


class Event:
    """A moment of a stream; who waits for one that was never recorded does not wait."""

    def __init__(self, device: Device, **_wishes: bool) -> None:
        """Take the device."""
        self._device = device
        self.moment: Known = {}

    def record(self, stream: Stream) -> None:
        """Be this moment of a stream."""
        self._device.refuse_in_capture("an event")
        self.moment = self._device.order.recorded(stream.ptr)

    def synchronize(self) -> None:
        """Let the host wait."""
        self._device.refuse_in_capture("waiting")
        self._device.order.wait(HOST, self.moment)


class Graph:
    """What was recorded."""

    def __init__(self, device: Device, work: Sequence[Work]) -> None:
        """Take the launches, in order."""
        self._device, self._work = device, tuple(work)

    def launch(self, stream: Stream | None = None) -> None:
        """Run everything."""
        require(isinstance(stream, Stream), "a graph is launched into a stream")
        assert stream is not None
        self._device.refuse_in_capture("launch of a graph")
        for work in self._work:
            self._device.run(work, stream.ptr)


class Stream:
    """A stream, of which `ptr` is the number."""

    def __init__(self, device: Device) -> None:
        """Take the device."""
        self._device, self.ptr = device, device.order.stream()

    def __enter__(self) -> Stream:
        """Become the current stream."""
        self._device.stream = self
        return self

    def __exit__(self, *_exception: object) -> None:
        """Give way to the null stream."""
        self._device.stream = None

    def wait_event(self, event: Event) -> None:
        """Do nothing more before an event."""
        self._device.refuse_in_capture("an event")
        self._device.order.wait(self.ptr, event.moment)

    def begin_capture(self) -> None:
        """Record what follows instead of doing it."""
        require(self._device.stream is self, "the null stream cannot be recorded")
        self._device.refuse_in_capture("a second capture")
        self._device.recording = []

    def end_capture(self) -> Graph:
        """Return what was recorded."""
        work, self._device.recording = self._device.recording or [], None
        return Graph(self._device, work)
