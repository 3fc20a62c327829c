"""Free keys: who asked for one, the mail that confirms an address, who is signed in."""
