"""fastnn beside other libraries, on a CPU or a GPU: a module for each library, the rows, how they are measured, and the pages."""
