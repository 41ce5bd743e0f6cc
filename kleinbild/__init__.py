"""Kleinbild: packages FLUX.2 Klein for the browser and serves the page that runs it."""

__version__ = "0.1.0"
