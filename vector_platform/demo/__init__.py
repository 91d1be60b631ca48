"""Scripted stories of drift, played on a deployment of their own by the real daemon.

Belongs here: what happens in the outside world (days of documents, a model that changes behind its
name), following what the platform does about it, and checking that it did. Does not belong here:
anything the platform does. A story writes files and reads records; it starts no run.
"""
