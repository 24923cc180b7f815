"""All that touches the API server: client, cache, queue, lease, pre-flight."""
