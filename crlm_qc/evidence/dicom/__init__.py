"""One DICOM file: its header, and the values in it."""
