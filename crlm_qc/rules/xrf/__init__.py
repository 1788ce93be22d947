"""XRF: the sources against each other."""
