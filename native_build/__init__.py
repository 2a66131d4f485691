"""How the native distribution is built: llama.cpp found, compiled, and packed into the wheel.

``setup.py`` stays a list of names; what it names is here, one job to a module. The way of the
build is ``settings`` (what the user asked for), ``toolchain`` (is everything there?), ``source``
(the llama.cpp tree), ``libraries`` (compiled and cached), ``record`` (what was built, for the
package to read) and ``commands`` (the setuptools commands that call all of these).

Only the standard library is used outside of ``commands``: these modules run before anything is
installed.
"""
