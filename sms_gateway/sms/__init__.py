"""What an SMS is: addresses, encodings, segments, receipts and states. Pure functions, no I/O."""
