"""Decides which upstream takes the messages to a number, and at which hours."""
