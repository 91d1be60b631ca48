"""Conditions on rows: one language, one meaning, whichever backend answers.

Belongs here: what a condition is and means, how it is read from JSON, and how a search that a
backend can narrow only in part still answers exactly. Does not belong here: how a backend says a
condition (`backends/<name>/filters.py`).
"""
