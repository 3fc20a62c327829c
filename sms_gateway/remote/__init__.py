"""Calls another gateway over HTTP, in batches, as a Backend."""
