"""A PDF file of one page, written by hand (ISO 32000-1, section 7.5): header, objects, cross-references, trailer.

An uncompressed content stream and offsets counted while writing; so every byte can be read in an editor.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["one_page"]

_PAGE_WIDTH, _PAGE_HEIGHT = 595, 842  # A4 in points of 1/72 inch
_MARGIN = 64


def one_page(title: str, lines: Sequence[str], drawing: str = "") -> bytes:
    """Return a PDF 1.4 file with a heading, lines of text below it and a drawing.

    Parameters
    ----------
    title, lines : str
        Text in ASCII.
    drawing : str
        Operators of a content stream (ISO 32000-1 annex A), the origin being the lower left corner of the page.
    """
    left, top = _MARGIN, _PAGE_HEIGHT - _MARGIN
    text = [f"BT /F2 20 Tf {left} {top - 20} Td ({_escaped(title)}) Tj ET"]
    text += [
        f"BT /F1 11 Tf {left} {top - 56 - 17 * row} Td ({_escaped(line)}) Tj ET"
        for row, line in enumerate(lines)
    ]
    content = "\n".join([*text, drawing]).encode("ascii")
    box = f"[0 0 {_PAGE_WIDTH} {_PAGE_HEIGHT}]"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox {box} /Contents 4 0 R /Resources "
        "<< /Font << /F1 5 0 R /F2 6 0 R >> >> >>".encode("ascii"),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>",
        f"<< /Title ({_escaped(title)}) /Producer (dicomkit) >>".encode("ascii"),
    ]
    # Four bytes above 127 in a comment tell that the file is binary (7.5.2).
    document = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(document)
    document += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    document += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    document += b"trailer\n<< /Size %d /Root 1 0 R /Info 7 0 R >>\n" % (len(objects) + 1)
    document += b"startxref\n%d\n%%%%EOF\n" % start
    return bytes(document)


def _escaped(text: str) -> str:
    """Text as a literal string in parentheses wants it (7.3.4.2)."""
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
