"""A ledger as an earlier version wrote it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from dicomkit.ledger._schema import APPLICATION_ID

PORT_OF_SCHEMA_1 = 41112


def ledger_of_schema_1(path: Path, port: int = PORT_OF_SCHEMA_1) -> Path:
    """Make one with two batches of CT slices and a verdict, from a dump of what wrote schema 1; sent to this port."""
    dump = Path(__file__).with_name("ledger_1.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path)) as old:
        old.executescript(dump.replace(str(PORT_OF_SCHEMA_1), str(port)))
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        old.execute("PRAGMA user_version = 1")
        old.execute("PRAGMA journal_mode = WAL")
    return path
