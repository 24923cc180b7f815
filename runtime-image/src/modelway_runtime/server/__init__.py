"""The HTTP server: listeners, life cycle, batching and drain."""
