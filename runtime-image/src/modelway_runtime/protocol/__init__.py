"""The V2 inference protocol: JSON to tensors and back. Pure."""
