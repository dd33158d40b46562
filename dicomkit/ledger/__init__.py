"""The durable record of what was sent, in SQLite: for resuming and for audits."""

from __future__ import annotations

from dicomkit.ledger._ledger import VERIFICATION_COLUMNS, Ledger, Verdict
from dicomkit.ledger._resume import HELD, Resume
from dicomkit.ledger._writer import LedgerWriter

__all__ = ["HELD", "Ledger", "LedgerWriter", "Resume", "VERIFICATION_COLUMNS", "Verdict"]
