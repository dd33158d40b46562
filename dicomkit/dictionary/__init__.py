"""Tables of the standard that cost a look-up and no import of pydicom: what an element is, what a UID is called."""

from dicomkit.dictionary._values import known_vrs, vr_of
from dicomkit.dictionary.uids import uid_name

__all__ = ["known_vrs", "uid_name", "vr_of"]
