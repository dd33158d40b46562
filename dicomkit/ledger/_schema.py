"""What is in a ledger: its tables.

`PRAGMA application_id` is 0x44434B4C ("DCKL"), and `PRAGMA user_version` the version of the schema, 3:
no release has written 1 or 2.

``batches``
    A row for each `send_batch`, written before it connects: `number`, by which the other tables know it,
    `batch_id`, `started_at`, `ended_at` (null while it runs, and for good when it was killed), the peer (`host`,
    `port`, `calling_aet`, `called_aet`), `setting_id`, `setting_name`, `dicomkit_version`, and the counts, which
    agree with the rows at any moment: `attempts`, `instances` (those with a final row), of these `stored` (with a
    warning or without), `skipped` and `failed` (all others); and `interrupted` (0 or 1).
``attempts``
    To be read, a view: a row for each attempt, with the columns of `dicomkit.results.COLUMNS` and `fingerprint`, by
    which a later batch recognises the same content.
``attempt_values``
    What that view takes its rows from: those columns but for the batch's own, which stand in `batches` once. `id`
    grows as rows are written; (`batch`, `instance`, `attempt`) is unique.
``stored_instances``
    Where `attempt_values` has what was stored: `sop_instance_uid` and `id`. A batch that resumes lists here what came
    since ``listed.up_to``, an `id`. UIDs come in no order, so that while instances are sent this would cost as much
    again as all other values.
``verifications``
    What was found out later about an instance of a batch, newest last: `batch_id`, `instance`, `verified` (yes, no,
    unknown), `verified_by`, `verified_at`, `verify_detail`, `transaction_uid`; the instance's `sop_instance_uid`,
    `host`, `port` and `called_aet`; and `up_to`, the highest `id` of `attempt_values` when it was written: what was
    stored after that, the verdict does not speak of. Clocks step back and run ahead, rows come in order.

Times are ISO 8601 texts in UTC with six decimals, so that their order is that of the texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicomkit.results import COLUMN_OF, COLUMNS

if TYPE_CHECKING:
    import sqlite3

SCHEMA_VERSION = 3
APPLICATION_ID = 0x44434B4C

BATCH_COLUMNS = tuple(name for name, column in COLUMN_OF.items() if column.is_of_batch)
"""The columns of results that are the same in every row of a batch."""

VALUE_COLUMNS = (*(name for name in COLUMNS if name not in BATCH_COLUMNS), "fingerprint")
"""What is kept of each attempt: all other columns of results, and the fingerprint of its content."""

_VALUE_TYPES = ",\n  ".join(
    f"{column.name} {column.kind.sql}{'' if column.is_null else ' NOT NULL'}"
    for column in COLUMN_OF.values()
    if not column.is_of_batch
)
_VIEW_COLUMNS = ", ".join(
    f"{'batches' if name in BATCH_COLUMNS else 'attempt_values'}.{name}" for name in (*COLUMNS, "fingerprint")
)
_SCHEMA = (
    """CREATE TABLE batches (
  number INTEGER PRIMARY KEY,
  batch_id TEXT NOT NULL UNIQUE,
  started_at TEXT NOT NULL,
  ended_at TEXT,
  calling_aet TEXT NOT NULL,
  called_aet TEXT NOT NULL,
  host TEXT NOT NULL,
  port INTEGER NOT NULL,
  setting_id TEXT NOT NULL,
  setting_name TEXT NOT NULL,
  dicomkit_version TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  instances INTEGER NOT NULL DEFAULT 0,
  stored INTEGER NOT NULL DEFAULT 0,
  skipped INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  interrupted INTEGER NOT NULL DEFAULT 0
)""",
    "CREATE TABLE attempt_values (\n  id INTEGER PRIMARY KEY,\n  batch INTEGER NOT NULL,\n"
    f"  {_VALUE_TYPES},\n  fingerprint TEXT,\n  UNIQUE (batch, instance, attempt)\n)",
    f"CREATE VIEW attempts AS SELECT {_VIEW_COLUMNS}\n"
    "FROM batches JOIN attempt_values ON attempt_values.batch = batches.number",
    """CREATE TABLE stored_instances (
  sop_instance_uid TEXT NOT NULL,
  id INTEGER NOT NULL,
  PRIMARY KEY (sop_instance_uid, id)
) WITHOUT ROWID""",
    "CREATE TABLE listed (up_to INTEGER NOT NULL)",
    "INSERT INTO listed VALUES (0)",
    """CREATE TABLE verifications (
  batch_id TEXT NOT NULL,
  instance INTEGER NOT NULL,
  verified TEXT NOT NULL,
  verified_by TEXT NOT NULL,
  verified_at TEXT NOT NULL,
  verify_detail TEXT NOT NULL,
  transaction_uid TEXT,
  sop_instance_uid TEXT,
  called_aet TEXT NOT NULL,
  host TEXT NOT NULL,
  port INTEGER NOT NULL,
  up_to INTEGER NOT NULL
)""",
    "CREATE INDEX verifications_of_a_row ON verifications (batch_id, instance)",
    "CREATE INDEX verifications_of_an_instance ON verifications (sop_instance_uid)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


def make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of a new ledger."""
    for statement in _SCHEMA:
        connection.execute(statement)


def expect_tables(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.Error when it has not all of them."""
    for name in ("batches", "attempts", "verifications"):
        connection.execute(f"SELECT batch_id FROM {name} LIMIT 0")
