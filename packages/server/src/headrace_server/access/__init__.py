"""Who may ask: keys with their limits, and which web sites."""
