"""Answering queries from the live generations.

Belongs here: search, what an answer says of what it rests on, and who may ask. Does not belong
here: a backend's own client (`indexes/backends`).
"""
