"""fastnn beside other libraries: one module for each of them, and the rows, measurements and page of bench_peers.py."""
