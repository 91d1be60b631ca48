"""The searcher over HTTP.

Belongs here: requests and answers on the wire, and who may ask. Does not belong here: how anything
is found (`serving/searcher.py`).
"""
