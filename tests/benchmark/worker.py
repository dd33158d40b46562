"""A Python that has its imports behind it and then sends, timed from inside.

Run by the benchmark as ``python -m tests.benchmark.worker SENDER PORT AET ASSOCIATIONS FOLDER``; writes a line of
JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

HOST = "127.0.0.1"


def send_batch(port: int, aet: str, associations: int | Literal["auto"], folder: Path) -> Callable[[], int]:
    import pandas as pd  # noqa: F401  (a notebook has it)

    from dicomkit.batch import send_batch
    from dicomkit.settings import DicomSenderSetting

    setting = DicomSenderSetting(remote_host=HOST, remote_port=port, remote_aet=aet)

    def send() -> int:
        batch = send_batch(setting, folder, associations=associations)
        frame = batch.to_frame()
        return int((frame["outcome"] == "stored").sum())

    return send


def send_batch_with_ledger(
    port: int, aet: str, associations: int | Literal["auto"], folder: Path
) -> Callable[[], int]:
    """The same with a new ledger; rows are read back from it as the frame."""
    import sqlite3  # noqa: F401  (and its imports are behind it, here too)
    import tempfile

    import pandas as pd  # noqa: F401  (a notebook has it)

    from dicomkit.batch import send_batch
    from dicomkit.ledger import _resume as ledger_resume  # noqa: F401
    from dicomkit.settings import DicomSenderSetting

    setting = DicomSenderSetting(remote_host=HOST, remote_port=port, remote_aet=aet)

    def send() -> int:
        with tempfile.TemporaryDirectory(prefix="dicomkit-ledger-") as temporary:
            ledger = Path(temporary) / "ledger.sqlite"
            batch = send_batch(setting, folder, associations=associations, ledger=ledger)
            return sum(count for outcome, count in batch.outcomes.items() if outcome == "stored")

    return send


def send_batch_alone(
    port: int, aet: str, associations: int | Literal["auto"], folder: Path
) -> Callable[[], int]:
    """The same without a ledger, and without making the frame."""
    import pandas as pd  # noqa: F401  (a notebook has it)

    from dicomkit.batch import send_batch
    from dicomkit.settings import DicomSenderSetting

    setting = DicomSenderSetting(remote_host=HOST, remote_port=port, remote_aet=aet)

    def send() -> int:
        batch = send_batch(setting, folder, associations=associations)
        return sum(count for outcome, count in batch.outcomes.items() if outcome == "stored")

    return send


def send_paths(
    port: int, aet: str, associations: int | Literal["auto"], folder: Path, *, has_ledger: bool = False
) -> Callable[[], int]:
    """The files of a folder twice over, each by its path; for the memory that this takes, with a new ledger or none."""
    import tempfile

    from dicomkit.batch import send_batch
    from dicomkit.settings import DicomSenderSetting

    setting = DicomSenderSetting(remote_host=HOST, remote_port=port, remote_aet=aet)

    def send() -> int:
        paths = [str(path) for path in folder.iterdir()] * 2
        with tempfile.TemporaryDirectory(prefix="dicomkit-ledger-") as temporary:
            ledger = Path(temporary) / "ledger.sqlite" if has_ledger else None
            batch = send_batch(setting, paths, associations=associations, ledger=ledger, resume=False)
            return batch.outcomes["stored"]

    return send


def pynetdicom(port: int, aet: str, associations: int | Literal["auto"], folder: Path) -> Callable[[], int]:
    from pydicom import dcmread
    from pynetdicom import AE
    from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

    def send() -> int:
        ae = AE(ae_title="PYNETDICOM")
        ae.add_requested_context(CTImageStorage)
        association = ae.associate(HOST, port, ae_title=aet)
        statuses = [association.send_c_store(dcmread(path)) for path in sorted(folder.iterdir())]
        association.release()
        return sum(1 for status in statuses if status and status.Status == 0)

    return send


def main(sender: str, port: str, aet: str, associations: str, folder: str) -> None:
    prepare = {
        "send_batch": send_batch,
        "send_batch_alone": send_batch_alone,
        "send_batch_with_ledger": send_batch_with_ledger,
        "send_paths": send_paths,
        "send_paths_to_ledger": partial(send_paths, has_ledger=True),
        "pynetdicom": pynetdicom,
    }[sender]
    send = prepare(int(port), aet, "auto" if associations == "auto" else int(associations), Path(folder))
    start = time.perf_counter()
    instances = send()
    print(json.dumps({"seconds": time.perf_counter() - start, "instances": instances}))


if __name__ == "__main__":
    main(*sys.argv[1:])
