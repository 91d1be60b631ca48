"""How much an index finds of what exact search over the lake finds, by age and tenant."""
