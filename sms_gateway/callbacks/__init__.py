"""Callbacks to accounts by HTTP: the outbox, its sender, the signature, the allowed networks."""
