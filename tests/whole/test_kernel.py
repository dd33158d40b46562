"""In a notebook's kernel: an interrupt ends what waits for a peer; a batch is cancelled, and the cell gets its rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

from dicomkit import LocalSCP
from dicomkit.scp import Delay, Silence
from tests.support.files import ct_instance, write_ct_files

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
    with LocalSCP(faults=[Delay(0.1)]) as scp:
        setting = tmp_path / "setting.json"
        scp.setting().save(setting)
        asked = client.execute(
            CELL.format(setting=str(setting), folder=str(tmp_path / "ct"), associations=associations)
        )
        scp.wait_for("stored", times=5, timeout_seconds=SECONDS)
        manager.interrupt_kernel()
        reply = reply_to(asked, client)
        received = int(scp.received.stored.sum())
    assert reply["content"]["status"] == "ok"
    assert "interrupted True 200 ['cancelled', 'stored']" in printed(client, "interrupted")
    assert 5 <= received < 200


ASK = """
import sys, threading, time
from dicomkit import DicomMessage, DicomSenderSetting, SettingForm, echo, probe, send
setting = DicomSenderSetting.load({setting!r}).replace(timeout_seconds=3600)
{first}

def tell_when_it_waits(thread=threading.get_ident()):
    names = set()
    while {function!r} not in names:
        time.sleep(0.01)
        frame, names = sys._current_frames()[thread], set()
        while frame is not None:
            names.add(frame.f_code.co_name)
            frame = frame.f_back
    print("waiting", flush=True)

threading.Thread(target=tell_when_it_waits).start()
{ask}
"""
WHAT_IS_LEFT = """
import threading, psutil
ours = [thread for thread in threading.enumerate() if thread.name.startswith("dicomkit")]
for thread in ours:
    thread.join(10)
connected = [one for one in psutil.Process().net_connections("tcp") if one.raddr and one.raddr.port == {port}]
print("left:", [thread for thread in ours if thread.is_alive()], [one for one in connected if one.fd >= 0])
"""
BY_FORM = "form.wait_for_echo()"
OF = {BY_FORM: "form = SettingForm(setting)\nform.echo()"}


def reply_to(asked: str, client: BlockingKernelClient) -> dict[str, Any]:
    """The reply to this question; there may be more than one to those that were asked while the kernel began."""
    while True:
        reply = client.get_shell_msg(timeout=SECONDS)
        if reply["parent_header"]["msg_id"] == asked:
            return reply


def printed(client: BlockingKernelClient, beginning: str) -> str:
    """What a cell prints, once that is among it."""
    said = ""
    while beginning not in said:
        message = client.get_iopub_msg(timeout=SECONDS)
        if message["msg_type"] == "stream":
            said += message["content"]["text"]
    return said


@pytest.mark.parametrize(
    ("ask", "fault"),
    [
        ("echo(setting)", Silence("association")),
        ("echo(setting)", Silence("echo")),
        ("echo(setting)", Silence("release")),
        ("probe(setting)", Silence("association")),
        ("probe(setting)", Silence("release")),
        (BY_FORM, Silence("association")),
        (BY_FORM, Silence("echo")),
        (f"send(setting, DicomMessage.from_bytes({ct_instance(rows=2, columns=2)!r}))", Silence("response")),
    ],
    ids=lambda value: value.partition("(")[0] if isinstance(value, str) else value.stage,
)
def test_an_interrupt_of_the_kernel_ends_a_question_at_once_and_leaves_nothing_open(
    kernel: tuple[KernelManager, BlockingKernelClient], tmp_path: Path, ask: str, fault: Silence
) -> None:
    manager, client = kernel
    function = ask.partition("(")[0].rpartition(".")[2]
    with LocalSCP(faults=[fault]) as scp:
        setting = tmp_path / "setting.json"
        scp.setting().save(setting)
        cell = ASK.format(setting=str(setting), first=OF.get(ask, ""), ask=ask, function=function)
        asked = client.execute(
            cell, stop_on_error=False
        )  # or the next cell would be dropped, when it comes too soon
        printed(client, "waiting")
        scp.wait_for("fault", timeout_seconds=SECONDS)
        manager.interrupt_kernel()
        reply = reply_to(asked, client)  # and not after an hour
        assert reply["content"]["status"] == "error"
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        client.execute(WHAT_IS_LEFT.format(port=scp.port))
        assert "left: [] []" in printed(client, "left:")
