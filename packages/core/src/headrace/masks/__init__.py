"""Which tokens an output may go on with: grammars followed over a vocabulary by llguidance."""
