"""Folders of films: one outcome a file, whatever the file is; a run that was cut off goes on where it stopped."""
