"""Network services: wake words by the Wyoming protocol, and recordings and streams by HTTP.

It is imported by the command `serve` alone. `wyoming_*` needs the extra ``wyoming``, `http_*` the extra ``serve``.
"""
