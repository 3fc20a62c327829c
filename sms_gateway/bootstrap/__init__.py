"""Builds the concrete objects from the settings; no other package does.

Each process has a module, so that it imports only what it needs: imports take most of the time of a
start, and most of a process's memory.
"""
