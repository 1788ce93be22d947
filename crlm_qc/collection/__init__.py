"""What is known of a collection beforehand: its profile, what its values may look like, and what of them may be shown."""
