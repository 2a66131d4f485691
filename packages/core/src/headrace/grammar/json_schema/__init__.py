"""JSON schemas for llguidance, which takes most of them, and some of them wrongly without a word.

``reading`` reads the text. ``rewriting`` makes of it a schema that has nothing but what llguidance
is right about: what it would pass over or misunderstand is written in another way, or refused with
its place. ``compiling`` asks llguidance about what came of it, and finds the place of what it
refuses. The other modules are the rewriter's: ``keywords``, ``references``, ``numbers``,
``strings``, ``objects``, ``alternatives``, ``negation``, and ``endings``, which is about schemas
that no value of finite size is valid under.
"""
