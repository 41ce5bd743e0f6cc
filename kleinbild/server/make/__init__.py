"""serve.py generate: pictures into files, from a running API server (remote) or a browser of its own (local).

batch (what is asked for, what is there already) -> command (check, choose who makes them, write) -> report.
"""
