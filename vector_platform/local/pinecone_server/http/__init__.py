"""HTTP: the web application, and what happens to a request on its way to a handler."""
