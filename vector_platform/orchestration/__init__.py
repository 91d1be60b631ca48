"""Dagster's shape of the platform, by system. The only room that imports dagster.

Belongs here: assets, checks, jobs, sensors and schedules, thin around plain Python, and what more
than one system needs of Dagster. Does not belong here: anything that could be called without a run.
"""
