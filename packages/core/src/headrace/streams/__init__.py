"""From a running generation to what its reader sees: tokens, text, messages, events."""
