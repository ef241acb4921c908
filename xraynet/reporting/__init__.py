"""A Reading in, a document out: pictures, HTML reports, worklists, tables. Never sees a network."""
