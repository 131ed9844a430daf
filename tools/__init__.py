"""What developers run from the project's root: a local Kafka, and the first run. Not part of the application."""
