"""The pages on the inside of blocks: one file each, on a common address and a common route."""
