"""The benchmark's own receivers: they must be right before anything is measured with them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmark.receivers import DelayingProxy, NullReceiver
from tests.support.files import data_set_of, write_ct_files
from tests.support.peers import HOST, Peer, Storescp, dcmsend, echoscu, storescu

ROUND_TRIP_MS = 10.0


@pytest.fixture
def echo_server() -> Iterator[Peer]:
    """A server that sends back what it gets, and closes when the other side has closed."""

    def serve(listener: socket.socket) -> None:
        with listener.accept()[0] as client:
            while chunk := client.recv(1 << 16):
                client.sendall(chunk)

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        peer = Peer(aet="ECHO")
        peer.port = listener.getsockname()[1]
        yield peer
        thread.join(10)


def received(connection: socket.socket, count: int) -> bytes:
    content = bytearray()
    while len(content) < count and (chunk := connection.recv(1 << 16)):
        content += chunk
    return bytes(content)


@pytest.mark.parametrize("max_pdu", [0, 4096, 131072])
def test_the_null_receiver_counts_what_storescu_and_dcmsend_send(ct_files: list[Path], max_pdu: int) -> None:
    size_bytes = sum(len(data_set_of(path)) for path in ct_files)
    with NullReceiver(max_pdu=max_pdu) as receiver:
        assert echoscu(receiver).returncode == 0
        assert storescu(receiver, ct_files).returncode == 0
        assert dcmsend(receiver, ct_files).returncode == 0
        receiver.wait_for(2 * len(ct_files))
        assert receiver.counted() == (2 * len(ct_files), 2 * size_bytes)


def test_the_null_receiver_takes_instances_larger_than_its_buffer(tmp_path: Path) -> None:
    large = write_ct_files(tmp_path / "large", 2, rows=1024, columns=1024)
    with NullReceiver() as receiver:
        assert dcmsend(receiver, large).returncode == 0
        receiver.wait_for(2)
        assert receiver.counted() == (2, sum(len(data_set_of(path)) for path in large))


def test_the_null_receiver_survives_a_connection_that_breaks(ct_files: list[Path]) -> None:
    with NullReceiver() as receiver:
        with socket.create_connection((HOST, receiver.port)) as connection:
            connection.sendall(b"\x04\x00\x00\x00\x10\x00")
        assert storescu(receiver, ct_files).returncode == 0
        receiver.wait_for(len(ct_files))


def test_the_proxy_delays_an_answer_by_the_round_trip_at_least(echo_server: Peer) -> None:
    with (
        DelayingProxy(echo_server, round_trip_ms=ROUND_TRIP_MS) as proxy,
        socket.create_connection((HOST, proxy.port)) as connection,
    ):
        start = time.perf_counter()
        connection.sendall(b"ping")
        assert connection.recv(16) == b"ping"
        assert time.perf_counter() - start >= ROUND_TRIP_MS / 1000


def test_the_proxy_delays_bytes_without_holding_up_those_behind_them(echo_server: Peer) -> None:
    messages = [b"%08d" % n for n in range(200)]
    with (
        DelayingProxy(echo_server, round_trip_ms=200.0) as proxy,
        socket.create_connection((HOST, proxy.port)) as connection,
    ):
        start = time.perf_counter()
        for message in messages:
            connection.sendall(message)
        assert received(connection, 1600) == b"".join(messages)
        assert time.perf_counter() - start < 100 * 0.2


def test_the_proxy_passes_much_on_unchanged_and_the_end_after_it(echo_server: Peer) -> None:
    content = bytes(range(256)) * 200_000  # more than may be under way at once
    with (
        DelayingProxy(echo_server, round_trip_ms=ROUND_TRIP_MS) as proxy,
        socket.create_connection((HOST, proxy.port)) as connection,
    ):

        def send() -> None:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        assert received(connection, len(content) + 1) == content
        sender.join()


def test_dcmsend_stores_through_the_proxy(storescp: Storescp, ct_files: list[Path]) -> None:
    with DelayingProxy(storescp, round_trip_ms=ROUND_TRIP_MS) as proxy:
        assert dcmsend(proxy, ct_files).returncode == 0
    assert len(storescp.received()) == len(ct_files)
