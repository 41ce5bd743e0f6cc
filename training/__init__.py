"""Training of the small model that comes with the project: its pictures, its losses, its judge.

Nothing that packages, serves or runs a model imports this; it needs the `training` extra (torch).
"""
