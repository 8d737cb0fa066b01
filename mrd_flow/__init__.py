"""Next-generation flow cytometry: from FCS files to aberrant plasma cells per nucleated cell."""
