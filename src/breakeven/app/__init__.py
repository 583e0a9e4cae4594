"""One function a command; the only place where the parts are joined."""
