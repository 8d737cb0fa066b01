"""The commands. Arguments in, text and exit code out; every decision is made below."""
