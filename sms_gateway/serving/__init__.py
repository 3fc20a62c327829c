"""What keeps the gateway running and listening: supervisor, HTTP server, its workers."""
