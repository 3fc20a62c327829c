"""The HTTP face: API and pages, one ASGI application."""
