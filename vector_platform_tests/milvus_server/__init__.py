"""A real Milvus server for tests: not Lite, and not in the project's own environment.

Belongs here: installing `milvus` from PyPI into a virtual environment of its own, running its
server on free ports with its own data folder, and the tests that only a full server can answer.
Does not belong here: what every backend promises (`integration/test_index_adapters.py`, which
runs against this server too), and the embedded servers that the product itself starts.
"""
