"""Asset checks: assertions about what a stage has produced. Only data may fail a check."""
