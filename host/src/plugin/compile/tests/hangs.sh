#!/bin/sh
# A compiler that never comes to an end.
exec sleep 3600
