"""The `fetch` step: brings a model from a store, checks its bytes and writes the manifest."""
