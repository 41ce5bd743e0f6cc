"""serve.py generate: one picture from a headless Chromium, driven over the server's own WebSocket.

command -> request (what is asked), profile and browser (the process), session (the conversation), dump,
progress.
"""
