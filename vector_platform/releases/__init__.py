"""Which generation readers see: the live pointer, promotion, rollback."""
