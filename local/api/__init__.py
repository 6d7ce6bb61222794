"""What all routes of the REST API share: routing, bodies, envelopes, errors."""
