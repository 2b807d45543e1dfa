"""Speed and memory beside other libraries: ratios, measured in one run. See README.md."""
