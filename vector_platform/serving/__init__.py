"""Answering queries from the live generations.

Belongs here: search, and what an answer says of what it rests on. Does not belong here: a backend's
own client (`indexes/backends`).
"""
