"""One encoding of a data set to another, without changing a value."""

from dicomkit.conversion._ahead import ConversionsAhead
from dicomkit.conversion._convert import Converted, convert, target_for
from dicomkit.conversion._errors import NotConverted

__all__ = ["ConversionsAhead", "Converted", "NotConverted", "convert", "target_for"]
