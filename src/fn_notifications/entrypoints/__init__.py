"""Ways in: settings, the composition root, HTTP, the command line. Thin: parse, call, map errors."""
