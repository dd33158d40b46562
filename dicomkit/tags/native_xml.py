"""A Dataset in the Native DICOM Model, the XML of PS3.19 A.1.

Text is Unicode and numbers are decimal, as there; bytes are inline, in base64 and little endian.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pydicom import DataElement, Dataset

from dicomkit.tags._values import in_little_endian

__all__ = ["to_native_xml"]

# PS3.3 C.12.1.1.2: the character set that XML's text is in, whatever the data set's was
_UNICODE = "ISO_IR 192"
_CHARACTER_SET = 0x00080005
_REPRESENTATIONS = ("Alphabetic", "Ideographic", "Phonetic")  # PS3.5 6.2.1
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2


def to_native_xml(dataset: Dataset) -> str:
    """Return a data set as XML, without group lengths; control characters, which XML cannot hold, are U+FFFD."""
    root = Element("NativeDicomModel", {"xml:space": "preserve"})
    _add_attributes(root, dataset, is_little=dataset.original_encoding != (False, False))
    indent(root, space="")
    # A bare carriage return would be read as a line feed.
    text = tostring(root, encoding="unicode").replace("\r", "&#13;")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _add_attributes(parent: Element, dataset: Dataset, *, is_little: bool) -> None:
    for element in dataset:
        tag = element.tag
        if tag.element == 0:  # a group length, PS3.5 7.2
            continue
        number = int(tag)
        about = {"vr": str(element.VR)}
        if tag.is_private and not tag.is_private_creator:
            creator = dataset.get((tag.group, tag.element >> 8))
            if creator is not None and creator.value:
                about["privateCreator"] = _legal(str(creator.value))
                number &= 0xFFFF00FF  # the block is a matter of the file, not of the attribute
        elif element.keyword:
            about["keyword"] = element.keyword
        node = SubElement(parent, "DicomAttribute", {"tag": f"{number:08X}", **about})
        if element.VR == "SQ":
            for index, item in enumerate(element.value, 1):
                _add_attributes(SubElement(node, "Item", {"number": str(index)}), item, is_little=is_little)
        elif element.VR == "PN":
            for index, name in enumerate(_values(element), 1):
                _add_name(node, index, name)
        elif isinstance(element.value, bytes):
            if element.value:
                data = in_little_endian(element.value, str(element.VR), is_little=is_little)
                SubElement(node, "InlineBinary").text = b64encode(data).decode()
        else:
            for index, value in enumerate(_texts(element), 1):
                SubElement(node, "Value", {"number": str(index)}).text = value


def _values(element: DataElement) -> list[object]:
    return list(element.value) if element.VM > 1 else [element.value] * element.VM


def _texts(element: DataElement) -> Iterator[str]:
    for value in _values(element):
        if element.tag == _CHARACTER_SET:
            yield _UNICODE
            return
        if element.VR == "AT":
            yield f"{int(value):08X}"  # type: ignore[call-overload]
        else:
            yield "" if value is None else _legal(str(value))


def _add_name(node: Element, index: int, name: object) -> None:
    parts = [str(part) for part in getattr(name, "components", [str(name)])]
    if not any(part.strip("^ ") for part in parts):
        return
    person = SubElement(node, "PersonName", {"number": str(index)})
    for kind, text in zip(_REPRESENTATIONS, parts, strict=False):
        if text:
            representation = SubElement(person, kind)
            for component, value in zip(_COMPONENTS, text.split("^"), strict=False):
                if value:
                    SubElement(representation, component).text = _legal(value)


def _legal(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
