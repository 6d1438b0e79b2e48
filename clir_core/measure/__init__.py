"""From ranks to figures: metrics, intervals, comparisons, the gate."""
