"""The only place that picks concrete things from settings.

A module for each process, so that each imports what it needs itself and nothing else: most of the
time that a start takes, and most of a process's memory, is what was imported.
"""
