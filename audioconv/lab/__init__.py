"""The page of `audioconv lab`: record, train, listen and correct in a browser, on this computer.

It is imported by the command `lab` alone, and needs the extra ``lab``.
"""
