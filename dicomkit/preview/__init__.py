"""What a viewer shows of a Dataset: grey and colour pictures, overlays, reports, PDF documents, curves.

Everything between the stored values and the screen is a pure function, so that the browser can do the same arithmetic
and be held against it. The order of operations is that of PS3.3 C.7.6.3, C.11.1 and C.11.2: decoding; the stored bits
out of the bits allocated, once; the modality transformation; a VOI LUT or a window; then inversion, and the display
shutter. A look is one of `Grey.vois`, known by its place there and never by its name: first what the file has, its VOI
LUTs and then its windows in their order (or P-Values as they are stored), then the full range, then the customary
windows of CT; `labels_of` gives each a name of its own.

Not done: presentation states, ICC profiles, video.
"""

from __future__ import annotations

from dicomkit.preview._attributes import frame_rate_of, sweeps
from dicomkit.preview._decoding import frame_count
from dicomkit.preview._documents import (
    Kind,
    Waveform,
    encapsulated_pdf,
    kind_of,
    read_waveforms,
    why_no_picture,
)
from dicomkit.preview._overlays import Overlay
from dicomkit.preview._pictures import Colour, Grey, Picture, picture_of, to_8bit
from dicomkit.preview._reports import ReportLine, read_report
from dicomkit.preview._series import SORTING_KEYWORDS, Series, Slice, series_of
from dicomkit.preview._windows import (
    CT_WINDOWS,
    WINDOW_FUNCTIONS,
    LookupTable,
    Rescale,
    Voi,
    Window,
    labels_of,
    spanning,
)

__all__ = ["Colour", "Grey", "Kind", "LookupTable", "Overlay", "Picture", "ReportLine", "Rescale", "Series"]
__all__ += ["CT_WINDOWS", "SORTING_KEYWORDS", "Slice", "Voi", "WINDOW_FUNCTIONS", "Waveform", "Window"]
__all__ += ["encapsulated_pdf", "frame_count", "frame_rate_of", "kind_of", "labels_of"]
__all__ += ["picture_of", "read_report", "read_waveforms", "series_of", "spanning", "sweeps"]
__all__ += ["to_8bit", "why_no_picture"]
