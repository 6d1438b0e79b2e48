"""Which documents meet which queries, who outranks whom, and the vectors that say so."""
