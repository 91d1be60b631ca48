"""The lake as consumers see it: all tables, and what may be derived from a snapshot of them.

Belongs here: the one class that holds them together. The tables are in `tables.py`, what follows
from them in `derived/`, the values in `snapshots.py`.
"""

from __future__ import annotations

from vector_platform.lake.derived.by_day import RowsByDay
from vector_platform.lake.derived.index_rows import IndexRows


class Lake(IndexRows, RowsByDay):
    """All tables below one root, and the reads that combine them."""
