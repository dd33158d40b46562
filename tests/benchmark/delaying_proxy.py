"""A network in between: passes TCP on, each byte a fixed time later, in both directions and at full throughput.

One thread and one select; what arrives is stamped with the time at which it is due, and leaves then. A connection is
accepted at once, so that opening one costs a round trip less than over a real network. Run as a script:
``delaying_proxy.py PORT TO_PORT DELAY_MS``, the delay being that of one way.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections import deque
from contextlib import suppress

HOST = "127.0.0.1"
CHUNK_BYTES = 1 << 18
MAX_UNDERWAY_BYTES = 1 << 24  # in one direction: more than 10 Gbit/s carry in 10 ms


class Direction:
    """Bytes on their way from one socket to another."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source, self.target = source, target
        self.is_reading = True
        self.is_done = False
        self._underway: deque[tuple[float, memoryview]] = deque()
        self._size_bytes = 0

    @property
    def wants_to_read(self) -> bool:
        return self.is_reading and self._size_bytes < MAX_UNDERWAY_BYTES

    @property
    def due(self) -> float | None:
        """When the next bytes leave (`time.perf_counter`), if any are under way."""
        return self._underway[0][0] if self._underway else None

    def read(self, delay_seconds: float) -> None:
        try:
            chunk = self.source.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            chunk = b""
        # The end of the stream travels as an empty chunk behind the bytes before it.
        self._underway.append((time.perf_counter() + delay_seconds, memoryview(chunk)))
        self._size_bytes += len(chunk)
        self.is_reading = bool(chunk)

    def write(self, now: float) -> None:
        while self._underway and self._underway[0][0] <= now:
            due, chunk = self._underway.popleft()
            try:
                if not chunk:
                    self.is_done = True
                    self.target.shutdown(socket.SHUT_WR)
                    return
                sent = self.target.send(chunk)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.is_done, self.is_reading = True, False
                return
            self._size_bytes -= sent
            if sent < len(chunk):
                self._underway.appendleft((due, chunk[sent:]))
                return


def _connect(client: socket.socket, to_port: int) -> list[Direction]:
    try:
        server = socket.create_connection((HOST, to_port))
    except OSError:
        client.close()
        return []
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end.setblocking(False)
    return [Direction(client, server), Direction(server, client)]


def main(port: int, to_port: int, delay_seconds: float) -> None:
    pairs: list[list[Direction]] = []
    with socket.create_server((HOST, port), backlog=128) as listener:
        while True:
            directions = [one for pair in pairs for one in pair if not one.is_done]
            now = time.perf_counter()
            readers = {one.source: one for one in directions if one.wants_to_read}
            overdue = [one for one in directions if one.due is not None and one.due <= now]
            later = [one.due for one in directions if one.due is not None and one.due > now]
            readable, _, _ = select.select(
                [listener, *readers],
                [one.target for one in overdue],
                [],
                max(0.0, min(later) - now) if later else None,
            )
            for ready in readable:
                if ready is listener:
                    if pair := _connect(listener.accept()[0], to_port):
                        pairs.append(pair)
                else:
                    readers[ready].read(delay_seconds)
            now = time.perf_counter()
            for one in directions:
                if one.due is not None and one.due <= now:
                    one.write(now)
            for pair in [pair for pair in pairs if all(one.is_done for one in pair)]:
                pairs.remove(pair)
                with suppress(OSError):
                    pair[0].source.close()
                    pair[1].source.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000)
