"""Accepts messages: finds the account, applies the rules and commits messages to the queue."""
