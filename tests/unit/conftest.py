"""Lets these tests import what several of them build on."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
