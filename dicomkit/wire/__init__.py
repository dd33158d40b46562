"""DICOM on the wire, to be read in this order.

`pdu` turns bytes into PDUs and commands and back, without I/O. `socket` connects to a peer, with `tls` around it if
asked to. `layout` has a data set's PDUs in memory. `association` is what the two sides say to each other.
"""
