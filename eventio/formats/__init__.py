"""File formats of event cameras: one module for each, none knows another; `table` lists them."""
