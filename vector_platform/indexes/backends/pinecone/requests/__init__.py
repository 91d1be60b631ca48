"""Requests to Pinecone: calls with their errors, and waiting until reads see what was written."""
