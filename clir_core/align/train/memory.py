"""What the environment of a training process says about memory.

glibc returns every freed block over 32 MB to the system at once, so each step would fault in and clear gigabytes anew.
"""

# read when a process starts. One arena: others, which threads but the main one use, hold no large blocks
KEEP_FREED_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
}
