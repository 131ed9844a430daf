"""Where orders come from: one file per place."""
