"""Embedded servers: a vector database of each kind on this machine, with no account or container.

Belongs here: the Pinecone-compatible server, the runner of Milvus Lite, and starting, stopping
and reporting both as background processes. Does not belong here: clients of either (`indexes`).
"""
