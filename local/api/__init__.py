"""The REST API's frame: routes, bodies, envelopes, errors."""
