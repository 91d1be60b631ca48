"""Pinecone: one index a model version, one namespace a tenant and generation."""
