"""Files for the readers: on disk by their path, or in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from crlm_qc.evidence.source import Folder, Item, Source, Tree

UNREAD = Item("f.dcm", None)
"""A file that is never opened again."""


def item_at(path: Path, name: str | None = None) -> Item:
    """A file on disk, there or not, under its own name or another."""
    return Item(name or path.name, None, Folder(path.parent.resolve()), path.name)


@dataclass(frozen=True)
class Memory(Source):
    """A release of which nothing lies on disk: paths to bytes."""

    files: Mapping[str, bytes] = field(compare=False)
    title: str = "release"

    @property
    def name(self) -> str:
        return self.title

    def tree(self) -> Tree:
        folders = {"/".join(path.split("/")[:depth]) for path in self.files for depth in range(1, path.count("/") + 1)}
        return Tree([self.find(path) for path in sorted(self.files)], sorted(folders))

    def find(self, path: str) -> Item:
        return Item(path, len(self.files[path]), self, path)

    def open(self, key: str) -> BinaryIO:
        return BytesIO(self.files[key])

    def folder(self, steps: Sequence[str], start: Item | None = None) -> str | None:
        first = start.folder.split("/") if start is not None and start.folder else []
        path = "/".join([*first, *steps])
        return path if any(file.startswith(f"{path}/") for file in self.files) else None
