"""The Django project: configuration and wiring, no domain code."""
