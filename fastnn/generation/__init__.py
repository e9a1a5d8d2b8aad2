"""Let models write tokens after a prompt; `Module.generate` is how users call it."""
