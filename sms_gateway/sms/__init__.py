"""The rules of SMS: addresses, encodings, segments, receipts and states. Pure functions, no I/O."""
