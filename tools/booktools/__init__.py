"""The machinery behind `python tools/book.py`: build, notebooks, rehearsal, results."""
