"""Milvus: one collection a generation, tenants as its partition key."""
