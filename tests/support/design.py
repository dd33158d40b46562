"""What design has decided, written down a second time on purpose: the code is held against it."""

from __future__ import annotations

DTYPE_OF_COLUMN: dict[str, str] = {
    "batch_id": "string",
    "instance": "int64",
    "attempt": "int64",
    "outcome": "category",
    "status": "UInt16",
    "status_category": "category",
    "status_meaning": "string",
    "detail": "string",
    "source": "string",
    "sop_class_uid": "string",
    "sop_class_name": "string",
    "sop_instance_uid": "string",
    "study_instance_uid": "string",
    "series_instance_uid": "string",
    "modality": "string",
    "size_bytes": "Int64",
    "transfer_syntax": "string",
    "sent_transfer_syntax": "string",
    "calling_aet": "string",
    "called_aet": "string",
    "host": "string",
    "port": "int64",
    "association": "Int64",
    "started_at": "datetime64[us, UTC]",
    "duration_ms": "float64",
    "response_ms": "float64",
}
"""The result columns in their order, with their dtypes in a frame."""
