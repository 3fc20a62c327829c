"""From the queue to the carrier, and back: worker, dispatch, ledger, retention."""
