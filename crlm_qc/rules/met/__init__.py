"""MET: metadata.csv, the downloader's list of series."""
