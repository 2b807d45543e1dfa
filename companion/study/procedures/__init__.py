"""Procedures that `make studies` records as tables, one module each.

A procedure has `ARMS`, the names of what is compared; `RESTS_ON`, the modules of the package whose
change makes its table stale; `ASSETS`, the names of bundled weights or data, if any; and
`run(arm, seed)`, which returns values by name and is a function of its arguments alone.
"""
