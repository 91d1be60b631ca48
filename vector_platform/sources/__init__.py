"""Readers of outside systems, and landing what they read.

Belongs here: from a section of `platform.yaml` to raw rows with lineage; every failure of a reader
is a reject or a named error. Does not belong here: documents and chunks (`corpus`).
"""
