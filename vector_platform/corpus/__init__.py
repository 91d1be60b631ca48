"""From landed rows to documents and chunks.

Belongs here: the dbt project of a deployment, publishing its marts to the lake, cutting documents.
Does not belong here: reading sources (`sources`), vectors (`models`).
"""
