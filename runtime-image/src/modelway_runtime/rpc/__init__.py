"""The V2 inference protocol over gRPC: the same models, limits and figures as over REST."""
