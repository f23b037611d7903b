"""What the tests mend in `bqemulator` 1.4.0; see `emulator_launcher`."""
