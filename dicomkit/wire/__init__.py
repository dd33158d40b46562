"""DICOM on the wire, to be read in this order.

`pdu` turns bytes into PDUs and commands and back, without I/O. `connection` makes a socket of a peer's name, with
`tls` around it if asked to. `layout` has a data set's PDUs in memory. `association` is the conversation.
"""
