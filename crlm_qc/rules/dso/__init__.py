"""DSO: the segmentation object and its references."""
