"""What rules on the release share."""

from __future__ import annotations

DOWNLOADER = "layout that the NBIA Data Retriever writes"
