"""What a model's inputs and predictions were like when it was made, and how far those of now are from it."""
