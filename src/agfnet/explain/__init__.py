"""Where a network looks, and how far what the maps say can be relied on."""
