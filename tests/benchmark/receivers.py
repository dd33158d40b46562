"""Receivers that are not for sale: one that costs nothing, and a network in front of another."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.peers import Peer, wait_until

COUNT_SECONDS = 10.0


class NullReceiver(Peer):
    """A bare-socket SCP that stores nothing and counts; see `tests.benchmark.null_receiver`."""

    program = "null_receiver"

    def __init__(self, *, aet: str = "NULL", max_pdu: int = 16384) -> None:
        super().__init__(aet=aet)
        self.max_pdu = max_pdu

    def executable(self) -> list[str]:
        return [sys.executable, "-S", str(Path(__file__).with_name("null_receiver.py"))]

    def command(self) -> list[str]:
        return [str(self.port), str(self.max_pdu)]

    def counted(self) -> tuple[int, int]:
        """Instances, and bytes of data sets, over the connections that have ended."""
        lines = [line.split() for line in self.output().splitlines() if line[:1].isdigit()]
        return sum(int(line[0]) for line in lines), sum(int(line[1]) for line in lines)

    def wait_for(self, instances: int) -> None:
        """Return once it has counted so many instances."""
        wait_until(lambda: self.counted()[0] >= instances, COUNT_SECONDS, f"{instances} instances received")


class DelayingProxy(Peer):
    """A network of `round_trip_ms` in front of a peer; see `tests.benchmark.delaying_proxy`."""

    program = "delaying_proxy"

    def __init__(self, behind: Peer, *, round_trip_ms: float) -> None:
        super().__init__(aet=behind.aet, nodelay=behind.nodelay)
        self.behind = behind
        self.round_trip_ms = round_trip_ms

    def executable(self) -> list[str]:
        return [sys.executable, "-S", str(Path(__file__).with_name("delaying_proxy.py"))]

    def command(self) -> list[str]:
        return [str(self.port), str(self.behind.port), str(self.round_trip_ms / 2)]
