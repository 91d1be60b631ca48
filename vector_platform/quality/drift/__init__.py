"""Has a stream of documents moved, where, since when, and how much of it is new?"""
