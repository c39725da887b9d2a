"""Pure text formats: from and to files, without AiiDA and without a potential's packages."""
