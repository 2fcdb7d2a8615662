"""Plans, progress, results and errors as text or JSON."""
