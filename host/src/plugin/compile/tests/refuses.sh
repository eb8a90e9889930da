#!/bin/sh
# A compiler that does not like what it reads.
cat >/dev/null
echo "no such instruction" >&2
exit 3
