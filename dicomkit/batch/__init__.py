"""send_batch, Batch, BatchControl: many instances over one or more associations."""

from __future__ import annotations

from dicomkit.batch._batch import Batch, send_batch
from dicomkit.batch._control import BatchControl

__all__ = ["Batch", "BatchControl", "send_batch"]
