"""Index backends, a folder each. Nothing outside a backend's folder imports its client library."""
