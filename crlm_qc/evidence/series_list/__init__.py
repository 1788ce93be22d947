"""metadata.csv as text: where its table begins, which fields a row has, and what of it can be put right."""
