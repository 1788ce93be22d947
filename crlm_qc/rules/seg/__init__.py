"""SEG: what the masks hold."""
