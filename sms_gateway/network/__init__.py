"""Connections to somewhere else: how one is opened, and what to say when it fails."""
