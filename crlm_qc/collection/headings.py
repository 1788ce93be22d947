"""Headings of a sheet, as people write them."""

from __future__ import annotations


def plain_heading(text: str) -> str:
    """A heading without what people change by accident: case, and white space around and within it."""
    return " ".join(text.split()).casefold()
