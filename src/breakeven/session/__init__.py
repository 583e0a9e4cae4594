"""One run from the first question to the last level: find the server, prepare, measure, search, settle, summarise."""
