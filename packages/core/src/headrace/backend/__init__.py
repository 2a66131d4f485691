"""For authors of backends: protocols, optional abilities, a serial decoder, plugins.

``headrace.protocols`` is the front door to all of it.
"""
