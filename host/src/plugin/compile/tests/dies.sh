#!/bin/sh
# A compiler that is killed, as by its limit of CPU.
echo "half way" >&2
kill -KILL $$
