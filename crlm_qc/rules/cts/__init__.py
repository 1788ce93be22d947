"""CTS: the CT series."""
