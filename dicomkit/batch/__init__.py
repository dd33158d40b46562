"""send_batch, Batch, BatchControl: many instances over one or more associations."""

from __future__ import annotations

from dicomkit.batch._batch import Batch, BatchControl, send_batch

__all__ = ["Batch", "BatchControl", "send_batch"]
