"""From a lab's videos and calibration to samples whose cameras are true, proven from the data (docs/capture.md)."""
