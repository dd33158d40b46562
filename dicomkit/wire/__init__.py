"""DICOM on the wire: `pdu` turns bytes into PDUs and commands and back, `association` owns the socket."""
