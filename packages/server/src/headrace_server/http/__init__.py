"""One request and its response, over ASGI: bodies, events, disconnects, errors."""
