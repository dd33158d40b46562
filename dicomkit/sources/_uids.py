"""Values of UI and CS as rows and requests have them, and what notes say of UIDs that are none by PS3.5 9.1."""

from __future__ import annotations

from functools import lru_cache

_PADDING = b"\0 "  # PS3.5 6.2: UI is padded with NUL, other text with spaces, and writers mix them up
_LONGEST = 64
_OF_A_UID = b"0123456789."
_ANY_DIGIT = bytes.maketrans(b"0123456789", b"0111111111")
_UNPRINTABLE = bytes(range(0x21)) + bytes(range(0x7F, 0x100))

_JUNK = "has bytes around it that are none of a UID (PS3.5 9.1), and is sent as it is"
_INVALID = "is not a valid UID (PS3.5 9.1)"
_ZERO_FIRST = f"{_INVALID}: a component begins with a zero"


def text_of(value: bytes | None) -> str:
    """Return a value without its padding, empty where there is none or it is no text."""
    if not value:
        return ""
    try:
        text = value.strip(_PADDING).decode("ascii")
    except UnicodeDecodeError:
        return ""
    return text if len(text) <= _LONGEST and text.isprintable() else ""


def uid_of(value: bytes | None) -> str:
    """Return a UID as it is written into requests and rows, empty where there is none or it is no text."""
    if not value:
        return ""
    return _valid(value) or text_of(_without_junk(value))


def optional_uid(name: str, value: bytes | None, notes: list[str]) -> str | None:
    """Return a UID that no request names; None where there is none that is text."""
    if not value:
        return None
    if uid := _valid(value):
        return uid
    uid = uid_of(value)
    plain = value.strip(_PADDING)
    if uid and uid.encode() != plain:
        notes.append(f"its {name} {_JUNK}")
    elif plain and (plain.translate(None, _OF_A_UID) or len(plain) > _LONGEST):
        notes.append(f"its {name} {_INVALID}")
    elif uid:
        notes.append(f"its {name} {_ZERO_FIRST}")
    return uid or None


def required_uid(name: str, value: bytes | None, media: bytes | None, notes: list[str]) -> str:
    """Return the data set's UID, or what the File Meta Information has instead.

    Raises
    ------
    ValueError
        There is none that a request could name.
    """
    if value and value == media and (uid := _valid(value)):  # as it should be, and is
        return uid
    own = _without_junk(value or b"")
    other = own if media == value else _without_junk(media or b"")
    if not own:
        if not other:
            raise ValueError(f"no {name} in the data set nor in the File Meta; it needs one to be sent")
        notes.append(f"the data set has no {name}, so the File Meta's is used")
        own = other
    elif value and len(value) > len(own) and value.strip(_PADDING) != own:
        notes.append(f"its {name} {_JUNK}")
    if other and other != own:
        notes.append(f"the File Meta has another {name}, {text_of(other) or 'an unreadable one'}")
    uid = uid_of(own)
    if not uid:
        raise ValueError(
            f"its {name} is longer than {_LONGEST} characters or not printable ASCII (PS3.5 9.1)"
        )
    if own.translate(None, _OF_A_UID):
        notes.append(f"its {name} {_INVALID}")
    elif _has_leading_zero(own):
        notes.append(f"its {name} {_ZERO_FIRST}")
    return uid


@lru_cache(maxsize=64)  # most UIDs of a file are those of the file before
def _valid(value: bytes) -> str:
    """Return a UID that is one by PS3.5 9.1, empty for anything else."""
    uid = value.strip(_PADDING)
    if not 0 < len(uid) <= _LONGEST or uid.translate(None, _OF_A_UID) or _has_leading_zero(uid):
        return ""
    return uid.decode()


def _has_leading_zero(uid: bytes) -> bool:
    """Whether a component of more than one digit begins with a zero."""
    if b".0" not in uid and not uid.startswith(b"0"):
        return False
    digits = b"." + uid.translate(_ANY_DIGIT)
    return b".00" in digits or b".01" in digits


def _without_junk(value: bytes) -> bytes:
    """Return a UID without what writers leave around it: line feeds, bytes of no text, anything after a NUL.

    What stands after a space or a line feed is left out as well, unless it might be the rest of the UID.
    """
    ordinary = value.strip(_PADDING)
    if not ordinary.translate(None, _OF_A_UID):
        return ordinary
    own = value.lstrip(_UNPRINTABLE).partition(b"\0")[0].rstrip(_UNPRINTABLE)
    end = len(own) - len(own.lstrip(_OF_A_UID))
    rest = own[end:].lstrip(_UNPRINTABLE)
    return own[:end] if end and own[end:] != rest and rest[:1] not in _OF_A_UID else own
