"""How we ask: the streaming client, the one instrument."""
