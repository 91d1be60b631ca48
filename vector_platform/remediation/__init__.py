"""What a failed check means, and what to do about it.

Belongs here: the records of checks and reactions, diagnosis, and the decision to act or to wait, as
plain values. Does not belong here: measuring (`quality`), starting a run (`orchestration`).
"""
