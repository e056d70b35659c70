"""Where the items of a task come from: one small loader for each source, all of them giving the same rows."""
