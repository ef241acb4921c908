"""From files to films: reads radiographs, annotations and catalogues."""
