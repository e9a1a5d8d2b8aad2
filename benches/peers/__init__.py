"""Comparison of fastnn with other libraries on a CPU or a GPU: a module for each library, the rows, measurement and pages."""
