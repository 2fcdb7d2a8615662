"""One module a command, imported when it is called: start-up stays fast."""
