"""serve.py --api: three faces (native, OpenAI, A1111) on one queue before one engine.

fields (what a request may say) -> operation (a path, told and served from one record) -> native, openai,
a1111 (the faces) -> openapi (the document) -> guard (who may ask) -> app; command runs it all.
"""
