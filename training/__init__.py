"""Trains the project's own small model (models/mini); nothing of the packager or the page imports it."""
