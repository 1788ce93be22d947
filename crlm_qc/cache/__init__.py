"""What earlier runs came to, kept in a folder of the user; no file of a release, and nothing that is not made again."""
