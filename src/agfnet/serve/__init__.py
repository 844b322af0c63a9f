"""A bundle as a page and an API. The server decodes no image: its workers do."""
