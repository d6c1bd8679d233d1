"""The production store: a PostgreSQL database of version 15 to 18, through psycopg (extra `postgres`)."""
