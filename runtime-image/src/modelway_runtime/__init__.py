"""The Modelway serving runtime: fetches one model, checks it and serves it over the V2 inference protocol."""

__version__ = "0.1.0"
