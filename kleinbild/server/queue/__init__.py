"""The queue before the one engine: ticket (a picture asked for), store (results kept), queue (who is next).

Pure asyncio: it knows no HTTP, and no browser beyond what an engine can do.
"""
