"""Bringing an index to a snapshot of the lake: decide, plan, write, forecast, report."""
