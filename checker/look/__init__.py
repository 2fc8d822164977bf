"""Looking: everything that asks anybody anything (API server, observer, engine, a container), and ends in a State."""
