"""How fast a model runs here: what ``headrace bench`` measures."""
