"""The models of a server: loaded on request, used by many, unloaded when nobody asks."""
