"""Measurements of streams, models and indexes.

Belongs here: statistics, samples and pictures, as functions of what they are given. Does not belong
here: deciding what to do about a number (`remediation`), or what goes live (`releases`).
"""
