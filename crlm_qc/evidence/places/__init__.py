"""Places that a release may lie in, beside a folder of this machine: each is a `Source`."""
