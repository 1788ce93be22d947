"""Memory that Pixel Data are read into: that of the patient before, so that the system need not clear and map new pages."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

BLOCK = 2 << 20
"""Bytes handed out by the system at a time: some slices. What is larger is no CT image, and gets memory of its own."""
_LINE = 64
"""Bytes between the beginnings of two pieces, at which arrays of any type may begin."""


class Arena:
    """Memory of one patient. What was read there must not be looked at after it was given back."""

    _left: ClassVar[list[memoryview]] = []

    def __init__(self) -> None:
        self._taken: list[memoryview] = []
        self._rest = memoryview(b"")

    def room(self, size: int) -> memoryview | None:
        """Memory for so many bytes; None if there are none, or more than a block has."""
        if not 0 < size <= BLOCK:
            return None
        if size > len(self._rest):
            self._rest = self._left.pop() if self._left else np.empty(BLOCK, dtype=np.uint8).data
            self._taken.append(self._rest)
        found = self._rest[:size]
        self._rest = self._rest[-(-size // _LINE) * _LINE :]
        return found

    def give_back(self) -> None:
        """Let another patient have the memory."""
        self._left.extend(self._taken)
        self._taken, self._rest = [], memoryview(b"")

    @classmethod
    def release(cls) -> None:
        """Give back to the system what no patient has, once all were read."""
        cls._left.clear()
