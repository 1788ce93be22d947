"""The only readers of dataset files: a release on disk becomes evidence tables."""
