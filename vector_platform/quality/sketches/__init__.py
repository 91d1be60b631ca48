"""What drift is measured on: sums of features, a day, tenant and source at a time."""
