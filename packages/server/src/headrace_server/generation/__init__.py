"""From a request to tokens: a place in the queue, a session that knows the beginning, a stream."""
