"""Answering queries from the live generations."""
