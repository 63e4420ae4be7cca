"""What the Edge TPU takes: a lint from the flatbuffer alone, and the compiler where a workstation has one."""
