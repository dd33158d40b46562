"""What a viewer shows of a Dataset: grey and colour pictures, overlays, reports, PDF documents, curves.

The one idea: everything between the stored values and the screen is a pure function, so that the browser can do the
same arithmetic and be held against it.

The order of operations is that of PS3.3 C.7.6.3, C.11.1 and C.11.2: decoding; the stored bits out of the bits
allocated, once; the modality transformation; a VOI LUT or a window; then inversion, and the display shutter. A look is
one of `Grey.vois`, told by its place there and never by its name: first what the file has, its VOI LUTs and then its
windows in their order (or P-Values as they are stored), then the full range, then the customary windows of CT;
`labels_of` gives each a name of its own.

Not done: presentation states, ICC profiles, video.
"""

from __future__ import annotations

from dicomkit.preview._attributes import frame_rate_of as frame_rate_of
from dicomkit.preview._attributes import sweeps as sweeps
from dicomkit.preview._decoding import frame_count as frame_count
from dicomkit.preview._documents import Waveform as Waveform
from dicomkit.preview._documents import encapsulated_pdf as encapsulated_pdf
from dicomkit.preview._documents import read_waveforms as read_waveforms
from dicomkit.preview._documents import waveforms as waveforms
from dicomkit.preview._kinds import Kind as Kind
from dicomkit.preview._kinds import kind_of as kind_of
from dicomkit.preview._kinds import why_no_picture as why_no_picture
from dicomkit.preview._overlays import Overlay as Overlay
from dicomkit.preview._overlays import overlays_of as overlays_of
from dicomkit.preview._pictures import Colour as Colour
from dicomkit.preview._pictures import Grey as Grey
from dicomkit.preview._pictures import Picture as Picture
from dicomkit.preview._pictures import picture_of as picture_of
from dicomkit.preview._pictures import to_8bit as to_8bit
from dicomkit.preview._reports import ReportLine as ReportLine
from dicomkit.preview._reports import read_report as read_report
from dicomkit.preview._reports import report_lines as report_lines
from dicomkit.preview._series import SORTING_KEYWORDS as SORTING_KEYWORDS
from dicomkit.preview._series import Series as Series
from dicomkit.preview._series import Slice as Slice
from dicomkit.preview._series import series_of as series_of
from dicomkit.preview._windows import CT_WINDOWS as CT_WINDOWS
from dicomkit.preview._windows import WINDOW_FUNCTIONS as WINDOW_FUNCTIONS
from dicomkit.preview._windows import LookupTable as LookupTable
from dicomkit.preview._windows import Rescale as Rescale
from dicomkit.preview._windows import Voi as Voi
from dicomkit.preview._windows import Window as Window
from dicomkit.preview._windows import full_range as full_range
from dicomkit.preview._windows import labels_of as labels_of
from dicomkit.preview._windows import spanning as spanning
