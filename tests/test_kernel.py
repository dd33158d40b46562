"""In a notebook's kernel: an interrupt is a cancel, and the cell gets its batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

from dicomkit import LocalSCP
from dicomkit.scp import Delay
from tests.files import write_ct_files

SECONDS = 30.0

CELL = """
from dicomkit import DicomSenderSetting, send_batch
batch = send_batch(DicomSenderSetting.load({setting!r}), {folder!r}, associations={associations})
frame = batch.to_frame()
print("interrupted", batch.interrupted, len(frame), sorted(set(frame.outcome)))
"""


@pytest.fixture
def kernel() -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    manager, client = start_new_kernel(startup_timeout=SECONDS)
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("associations", [1, 3])
def test_an_interrupt_of_the_kernel_ends_the_batch_and_keeps_its_rows(
    kernel: tuple[KernelManager, BlockingKernelClient], tmp_path: Path, associations: int
) -> None:
    manager, client = kernel
    write_ct_files(tmp_path / "ct", 200)
    with LocalSCP(faults=[Delay(0.1)], server="sockets") as scp:
        setting = tmp_path / "setting.json"
        scp.setting().save(setting)
        client.execute(
            CELL.format(setting=str(setting), folder=str(tmp_path / "ct"), associations=associations)
        )
        scp.wait_for("stored", times=5, timeout_seconds=SECONDS)
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=SECONDS)
        received = int(scp.received.stored.sum())
    assert reply["content"]["status"] == "ok"
    printed = ""
    while "interrupted" not in printed:
        message = client.get_iopub_msg(timeout=SECONDS)
        if message["msg_type"] == "stream":
            printed += message["content"]["text"]
    assert "interrupted True 200 ['cancelled', 'stored']" in printed
    assert 5 <= received < 200
