"""The written-out UID tables against pydicom's dictionary and pynetdicom's lists."""

from __future__ import annotations

import pydicom
import pydicom.uid
import pytest
from pydicom._uid_dict import UID_dictionary
from pynetdicom import sop_class

from dicomkit.dictionary import uids

# In the dictionary as SOP classes with "Storage" in the name, yet not sent by C-STORE.
NOT_STORED = {
    "1.2.840.10008.1.3.10": "Media Storage Directory Storage: a DICOMDIR, for media only (PS3.10 8.6)",
    "1.2.840.10008.1.20.1": "Storage Commitment Push Model",
    "1.2.840.10008.1.20.2": "Storage Commitment Pull Model",
}

# Newer than the dictionary of some pydicom 3 releases; pynetdicom lists them.
NEWER = {
    "1.2.840.10008.5.1.4.1.1.9.100.1": "Waveform Presentation State Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.2": "Waveform Acquisition Presentation State Storage",
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.66.8": "Height Map Segmentation Storage",
}

# Retired in PS3.6 2015c without a name.
NAMELESS = {
    "1.2.840.10008.5.1.4.1.1.12.77": "Zeiss OPT File (Retired)",
    "1.2.840.10008.5.1.4.1.1.40": "MR Image Storage Zero Padded (Retired)",
}


# A later pydicom may know UIDs that DICOM has given since.
the_dictionary_of_our_day = pytest.mark.skipif(
    not pydicom.__version__.startswith("3.0."), reason="the tables are those of pydicom 3.0"
)


def name_by_pydicom(uid: str) -> str:
    name, _, _, retired, _ = UID_dictionary[uid]
    return name.removesuffix(" SOP Class") + (" (Retired)" if retired else "")


def of_type(kind: str) -> set[str]:
    return {uid for uid, entry in UID_dictionary.items() if entry[1] == kind}


def stored_by_pydicom() -> dict[str, str]:
    return {
        uid: name_by_pydicom(uid)
        for uid in of_type("SOP Class")
        if "Storage" in UID_dictionary[uid][0] and uid not in NOT_STORED
    }


@the_dictionary_of_our_day
def test_the_storage_classes_are_those_of_the_dictionary_and_the_few_it_has_no_name_for() -> None:
    assert NEWER | NAMELESS | stored_by_pydicom() == uids.STORAGE_CLASSES


def test_a_storage_class_has_the_name_that_the_dictionary_gives_it() -> None:
    theirs = stored_by_pydicom()
    both = theirs.keys() & uids.STORAGE_CLASSES.keys()
    assert {uid: uids.STORAGE_CLASSES[uid] for uid in both} == {uid: theirs[uid] for uid in both}


def test_every_storage_class_of_pynetdicom_is_there() -> None:
    storage = set(sop_class._STORAGE_CLASSES.values())
    non_patient = set(sop_class._NON_PATIENT_OBJECT_CLASSES.values())
    assert storage | non_patient <= set(uids.STORAGE_CLASSES)


def test_a_dicomdir_and_storage_commitment_are_not_storage_classes() -> None:
    assert not NOT_STORED.keys() & uids.STORAGE_CLASSES.keys()


@the_dictionary_of_our_day
def test_every_transfer_syntax_is_there_under_its_name() -> None:
    assert {uid: name_by_pydicom(uid) for uid in of_type("Transfer Syntax")} == uids.TRANSFER_SYNTAXES


def test_the_named_constants_are_those_of_pydicom() -> None:
    assert pydicom.uid.ImplicitVRLittleEndian == uids.IMPLICIT_LE
    assert pydicom.uid.ExplicitVRLittleEndian == uids.EXPLICIT_LE
    assert pydicom.uid.ExplicitVRBigEndian == uids.EXPLICIT_BE
    assert pydicom.uid.DeflatedExplicitVRLittleEndian == uids.DEFLATED_LE
    assert pydicom.uid.MediaStorageDirectoryStorage == uids.MEDIA_STORAGE_DIRECTORY
    assert pydicom.uid.RLELossless == uids.RLE_LOSSLESS
    assert uids.VERIFICATION == "1.2.840.10008.1.1"


@pytest.mark.parametrize(
    ("uid", "name"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", "CT Image Storage"),
        ("1.2.840.10008.5.1.4.1.1.6", "Ultrasound Image Storage (Retired)"),
        ("1.2.840.10008.5.1.4.38.1", "Hanging Protocol Storage"),
        ("1.2.840.10008.1.2.2", "Explicit VR Big Endian (Retired)"),
        ("1.2.840.10008.1.1", "Verification SOP Class"),
        ("1.2.840.10008.1.3.10", "Media Storage Directory Storage"),
        ("1.3.46.670589.11.0.0.12.1", "1.3.46.670589.11.0.0.12.1"),
        ("", ""),
    ],
)
def test_a_uid_is_named_and_an_unknown_one_stands_for_itself(uid: str, name: str) -> None:
    assert uids.uid_name(uid) == name


def test_what_is_encapsulated_is_compressed_to_pydicom_too() -> None:
    ours = {syntax for syntax in uids.TRANSFER_SYNTAXES if uids.is_encapsulated(syntax)}
    known = {uid for uid in map(pydicom.uid.UID, uids.TRANSFER_SYNTAXES) if uid.is_transfer_syntax}
    theirs = {uid for uid in known if uid.is_compressed}
    assert not (ours & known) - theirs
    # Pixels that are elsewhere (PS3.5 A.6), streams that are no instances, and what is retired.
    others = ("JPIP", "SMPTE ST 2110", "RFC 2557", "XML", "Papyrus")
    assert {uid for uid in theirs - ours if not uids.uid_name(uid).startswith(others)} == set()


@pytest.mark.parametrize("syntax", uids.ENCODINGS)
def test_encodings_are_those_of_pydicom(syntax: str) -> None:
    uid = pydicom.uid.UID(syntax)
    assert (uid.is_implicit_VR, uid.is_little_endian) == uids.ENCODINGS[syntax]
