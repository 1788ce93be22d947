"""A synthetic release: phantom, writer, and faults to plant in it."""
