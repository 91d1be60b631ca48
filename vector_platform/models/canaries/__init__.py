"""Canary texts: choosing and asking them, comparing answers, and what a moved model wrote."""
