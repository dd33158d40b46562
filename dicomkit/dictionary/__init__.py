"""Tables of the standard that cost a look-up and no import of pydicom: what an element is, what a UID is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicomkit._support.late import when_used
from dicomkit.dictionary.uids import uid_name as uid_name

if TYPE_CHECKING:
    from dicomkit.dictionary._values import known_vrs as known_vrs
    from dicomkit.dictionary._values import vr_of as vr_of

__all__ = ["known_vrs", "uid_name", "vr_of"]

__getattr__ = when_used(__name__, {"_values": ("known_vrs", "vr_of")})
