"""Pictures from a headless Chromium, driven over the server's own WebSocket.

request (what is asked) -> session (the conversation), profile and browser (the process) -> engine.
"""
