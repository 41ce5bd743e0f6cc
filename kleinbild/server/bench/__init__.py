"""serve.py bench: the benchmark page in a headless Chromium, its table and its JSON.

command -> options (what is asked), session (the conversation), result (what came, checked), table, host.
"""
