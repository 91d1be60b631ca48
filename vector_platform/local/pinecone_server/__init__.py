"""A Pinecone-compatible server for one machine: starlette, uvicorn, SQLite and numpy.

It answers what the unmodified `pinecone` SDK 10 sends with API version 2026-07, so that code,
tests and demos run against Pinecone's API without an account. What it does not do it answers
with 501, and says so.

Layers, each knowing only those below it:
    server, app, wire, knobs, torn               process, HTTP, faults on demand
    control, documents, vectors, vector_writes,
    namespaces, aliases, imports                 request and response shapes
    catalog                                      which indexes exist
    search                                       filter, score, visibility
    store, database                              SQLite; acknowledged after commit
    namespace, matrix, column, inverted, views         what search needs in memory
    records, schema, filters, limits, errors     values and rules
"""

from __future__ import annotations

from vector_platform.local.pinecone_server.http.server import PineconeServer

__all__ = ["PineconeServer"]
