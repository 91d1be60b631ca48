"""Whose an index is: the marks that collections and namespaces bear, and taking over another's."""
