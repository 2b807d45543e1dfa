"""A stub of the package: enough for one small chapter."""

from companion import exercises, report

__all__ = ["exercises", "report"]
