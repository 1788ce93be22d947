"""How Sphinx builds the documentation: `nox -s docs`, or `sphinx-build -W docs site`. No network is needed."""

import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

import generate

from crlm_qc import __version__

project = "crlm-qc"
project_copyright = "The crlm-qc contributors, Apache 2.0"
release = version = __version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
nitpicky = True
# Options are written with two dashes, and stay so.
smartquotes = False
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"crlm-qc {__version__}"
html_copy_source = False
html_show_sourcelink = False
html_use_index = False
language = "en"


def _generate(app: Sphinx) -> None:
    generate.write_pages(Path(app.srcdir))


def _level(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    # Sphinx gives the captions of the navigation the role of a heading, but not the level that such a role needs.
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app: Sphinx) -> None:
    """Make the generated pages before Sphinx looks for sources."""
    app.connect("builder-inited", _generate)
    app.connect("html-page-context", _level, priority=900)
