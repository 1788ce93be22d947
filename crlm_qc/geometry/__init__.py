"""Pure numpy geometry: stacks, lattices and bit-packed masks, in LPS and mm."""
