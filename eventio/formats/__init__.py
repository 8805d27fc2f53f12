"""File formats of event cameras: a package for each, none knows another; `eventio.format_table` lists them."""
