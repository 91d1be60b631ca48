"""Your own part of this deployment."""
