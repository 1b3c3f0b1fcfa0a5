"""Requests to servers on loopback, past any proxy, and without the system's certificates, which take long to read."""

from __future__ import annotations

from functools import partial

import httpx

request = partial(httpx.request, trust_env=False, verify=False)
get, post = partial(request, "GET"), partial(request, "POST")
