"""REL: the release on disk."""
