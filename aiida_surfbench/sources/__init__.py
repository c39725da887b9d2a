"""Where structure sets come from: files, lattices and cited facts, read into plain records."""
