"""Procedures of recorded studies: one plain function `run(arm, seed)` a module."""
