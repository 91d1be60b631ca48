"""Which generation of an index readers see.

Belongs here: the live pointer and every step to moving it, each sub-room resting on those before:
pointer, evaluation, gates, requests, monitor. Does not belong here: building an index (`indexes`),
the measures themselves (`quality`).
"""
