"""Numbers as people read them: counts, bytes and times."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """``1 file``, ``3 files``, ``12,000 files``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def in_bytes(size: float) -> str:
    """A number of bytes: ``512 bytes``, ``9.1 KB``, ``241 MB``, in powers of 1000."""
    units = ["bytes", "KB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:.1f} {units[0]}" if size < 9.95 and units[0] != "bytes" else f"{size:.0f} {units[0]}"


def in_time(seconds: float) -> str:
    """A span of time: ``12 s``, ``3:07 min``, ``2:30 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"
