"""A clinic's day, by locust, in a process of its own; and what must hold after it."""
