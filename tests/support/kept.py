"""Where releases are kept for the time of a run."""

from pathlib import Path

folders: list[Path] = []
"""The folder that all workers of a run share; none where tests run without the fixtures of conftest.py."""
