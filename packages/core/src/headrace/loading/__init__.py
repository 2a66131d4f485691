"""From a reference to a loaded model: resolve it, choose a backend, load."""
