"""What every other layer stands on: handles, threads, files, text for messages."""
