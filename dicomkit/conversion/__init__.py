"""One encoding of a data set to another, without changing a value.

`_convert` makes passes over a source until one has understood all of it, and has the result sent; `_ahead` has that
done on other cores before its turn comes. `_rewriter` is one pass, in which `_runs` copies the ordinary elements and
`_elements` says how each is written; `_streams` reads the source, for the passes and for the sending. Of compressed
Pixel Data `_pixels` makes native: `_frames` cuts the fragments, `_codestreams` reads what a code stream says of itself,
`_decoders` decodes it, and `_image` describes what came out.
"""

from dicomkit.conversion._ahead import ConversionsAhead
from dicomkit.conversion._convert import Converted, convert, target_for
from dicomkit.errors import NotConverted

__all__ = ["ConversionsAhead", "Converted", "NotConverted", "convert", "target_for"]
