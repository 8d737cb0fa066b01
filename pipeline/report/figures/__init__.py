"""Pictures of comparisons, validation studies and trials, as SVG.

Every function makes one figure from results; nothing is estimated here that the tables
beside the figure do not hold. matplotlib is imported when a figure is made.
"""
