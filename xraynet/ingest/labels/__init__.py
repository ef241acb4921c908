"""The annotation formats that xraynet reads, one module each, and the records that all of them yield."""
