"""What a source holds now that is not any more what it was when it was looked at."""

from __future__ import annotations

import os
from functools import lru_cache

from dicomkit.sources._containers import list_archive
from dicomkit.sources._inspect import Instance, look_at, look_at_member
from dicomkit.sources.readers import SourceError, Stamp, ZipMember, open_file

__all__ = ["look_again"]

CHANGED = "the file changed after it was looked at, and was looked at again"


def look_again(instance: Instance) -> Instance:
    """Find out what the source of an instance holds now, once it is not what was looked at.

    Its note says so, and which instance it was; not so where nothing but the rights or the name of the file changed.
    Raises SourceError where it is gone, or cannot be sent any more.
    """
    content, before = instance.content, instance.stamp
    if before is None or isinstance(content, bytes):
        return instance
    try:
        found = (
            look_at(content, instance.source)
            if isinstance(content, str)
            else look_at_member(_member_now(content))
        )
    except SourceError as error:
        raise SourceError(
            error.source, f"it changed after it was looked at, and now it cannot be sent: {error.reason}"
        ) from error
    assert found.stamp is not None, "it is in a file"
    return found.__replace__(
        note="; ".join(filter(None, (found.note, _how_it_changed(instance, found)))),
        # What was looked at twice counts as settled, or a file that is written to all the time would never be sent.
        stamp=found.stamp._replace(is_settled=True),
    )


def _how_it_changed(before: Instance, now: Instance) -> str:
    """What its note says of two looks at an instance."""
    assert before.stamp is not None and now.stamp is not None, "both are in a file"
    if before.sop_instance_uid != now.sop_instance_uid:
        return f"{CHANGED}: it was {before.sop_instance_uid} before"
    is_same = before.stamp[:4] == now.stamp[:4] and before.content == now.content
    if is_same and (before.offset, before.length) == (now.offset, now.length):
        return before.note[before.note.find(CHANGED) :] if CHANGED in before.note else ""
    return CHANGED


def _member_now(member: ZipMember) -> ZipMember:
    """The member of that name which the archive holds now."""
    try:
        descriptor, status = open_file(member.archive)
        os.close(descriptor)
    except OSError as error:
        raise SourceError.of_system(member.source, error) from error
    found = _members(member.archive, Stamp.of(status)).get(member.source)
    if found is None:
        raise SourceError(member.source, "the archive has no such member any more")
    if isinstance(found, SourceError):
        raise found
    return found


@lru_cache(maxsize=1)
def _members(archive: str, stamp: Stamp) -> dict[str, ZipMember | SourceError]:
    """The members of an archive in its present state; kept, since what changes is often looked at member by member."""
    return {member.source: member for member in list_archive(archive)}
