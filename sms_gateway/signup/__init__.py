"""Hands out free keys: requests, mails that confirm addresses, and sessions of the pages."""
