"""The others: each module starts one server of somebody else's, or says what is missing."""
