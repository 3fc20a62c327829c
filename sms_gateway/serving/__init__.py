"""Keeps the gateway running and listening: supervisor, HTTP server, and the server's workers."""
