"""Who is told of each request when it has ended: an access log, traces, a log of payloads. Nobody, unless asked for."""
