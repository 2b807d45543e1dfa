"""Lets these tests import the book's tools, and gives them a book of their own."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(Path(__file__).parent)]


@pytest.fixture
def mini_book(tmp_path):
    """A repository with one small chapter; see minibook.py."""
    from minibook import make_mini_book

    return make_mini_book(tmp_path)
