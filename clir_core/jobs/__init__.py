"""The Ray side: the only place that imports ray. Plain functions and classes, wrapped at the edge."""
