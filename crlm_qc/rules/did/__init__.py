"""DID: de-identification, after DICOM PS3.15 Annex E (edition 2024b) and the options that the release declares."""
