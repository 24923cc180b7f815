"""Real stores on the loopback, each a process of its own, for the tests that fetch from them."""
