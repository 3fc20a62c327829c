"""What accounts are told by HTTP: an outbox, its sender, the signature, where it may go."""
