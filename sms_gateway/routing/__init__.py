"""Which number leaves by which upstream, how, and at which hours."""
