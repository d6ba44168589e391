# shellcheck shell=bash
# figures.sh - medians and ratios, for the scripts that measure. To be read by them.
median() {
    sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
ratio() { # A B
    awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'
}
at_most() { # A B
    awk -v a="$1" -v b="$2" 'BEGIN { exit !(a <= b) }'
}
