"""A Pinecone-compatible server for one machine: starlette, uvicorn, SQLite and numpy.

It answers what the unmodified `pinecone` SDK 10 sends with API version 2026-07, so that code,
tests and demos run against Pinecone's API without an account. What it does not do it answers
with 501, and says so.

It stands alone: no import leaves this folder but to its libraries, so it can be copied out whole
and run under any name (README.md). Layers, each knowing only those below it:
    http/                    process, HTTP, faults on demand
    api/                     request and response shapes
    data/                    which indexes exist, SQLite, search
    data/memory/             what searches need in memory
    limits, errors, call     rules and values of every layer
"""

from __future__ import annotations

from .http.server import PineconeServer

__all__ = ["PineconeServer"]
