"""Regular expressions: read in the dialect of their author, written in llguidance's.

``parsing`` makes a ``tree`` of a pattern, in one of the ``dialects``. ``writing`` writes a tree in
the syntax of llguidance, whose own classes and signs mean other things than the author's, so that
it has nothing but character codes. ``searching`` is for patterns that are looked for in a text.
"""
