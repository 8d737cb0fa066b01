"""Files in and out. Nothing here interprets what it reads."""
