"""What generated cases are made of."""
