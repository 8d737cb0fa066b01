"""From files to counts: reads, fragments, bases, and the lists that say where to look."""
