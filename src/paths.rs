//! Where things are, below the root: every path, unit name and limit that more than one module uses.
