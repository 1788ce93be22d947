"""The masks of a segmentation object: its frames, the stack that they lie on, and what is measured of them."""
