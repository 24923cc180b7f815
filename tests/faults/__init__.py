"""An API server that fails: a proxy before the real one, which does to requests what networks and servers do."""
