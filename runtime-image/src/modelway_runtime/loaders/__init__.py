"""Loaders: from the files of one format to a model that answers tensors."""
