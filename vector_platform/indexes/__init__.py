"""Strict consumers of the lake: what an index holds, and proving that it equals a snapshot.

Belongs here: rows, names, locks, the record of generations, comparing, and what all backends share.
Does not belong here: anything that asks a source or a model; where a vector comes from is the
lake's business.
"""
