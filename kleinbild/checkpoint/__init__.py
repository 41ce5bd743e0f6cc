"""Reads a diffusers folder of FLUX.2 Klein: its config files, its tensors, and the small model of the
project.
"""
