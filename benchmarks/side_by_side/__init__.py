"""What the scripts beside it share: native programs, peers, interleaved rounds, reports."""
