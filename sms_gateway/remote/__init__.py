"""Another gateway as a Backend: calls over HTTP, in batches."""
