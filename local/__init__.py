"""The whole platform on one machine, for development and tests. Nothing here is deployed."""
