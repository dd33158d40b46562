"""One encoding of a data set to another, without changing a value."""
