"""Templates as Python caches modules: compiled once, into the folder for bytecode, where Python may write there."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, MutableMapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2


class CompiledLoader(jinja2.BaseLoader):
    """Loads templates from a folder of the package; compiling them takes longer than all else of a page."""

    def __init__(self, folder: Path, salt: bytes) -> None:
        """`salt` changes when templates must be compiled anew though they are the same."""
        self._folder, self._salt = folder, salt + jinja2.__version__.encode()

    def load(
        self,
        environment: jinja2.Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002
    ) -> jinja2.Template:
        """The template of this name, which only templates of the package give."""
        path = self._folder / name
        if not path.is_file():
            raise jinja2.TemplateNotFound(name)
        code = _Source(name, path, environment, self._salt).get_code(name)
        if code is None:
            raise jinja2.TemplateNotFound(name)
        return environment.template_class.from_code(environment, code, globals or {})


class _Source(SourceFileLoader):
    def __init__(self, name: str, path: Path, environment: jinja2.Environment, salt: bytes) -> None:
        super().__init__(name, str(path))
        self._environment, self._salt = environment, salt

    def path_stats(self, path: Any) -> Mapping[str, Any]:
        """What cached bytecode must agree on: the text and the salt, in place of a time."""
        source = self.get_data(path)
        return {"mtime": zlib.crc32(source + self._salt), "size": len(source)}

    def source_to_code(self, data: Any, path: Any, **_: Any) -> CodeType:  # type: ignore[override]
        """The bytecode of a template."""
        return self._environment.compile(bytes(data).decode("utf-8"), self.name, str(path))
