"""What callers ask for, checked before a backend sees it."""
