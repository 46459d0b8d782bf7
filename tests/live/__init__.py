"""A real single-node Kubernetes for the tests: what it is made of, how it is started, and that it leaves no trace."""
