# Prints without end, in its shell and in a job, and fills its tree.
# hack: 10
# expect: harmless
for n in $(seq 1 450); do echo x > "notes_$n"; mkdir -p notes; echo x > "notes/n$n.md"; done
aar commit -m "many" 2> /tmp/said; echo "NOTE $(head -c 120 /tmp/said)"
rm -rf notes notes_*
head -c 70000000 /dev/zero > notebook.md 2> /dev/null; aar commit 2> /tmp/said; echo "NOTE $(head -c 100 /tmp/said)"; rm -f notebook.md
aar job --seconds 10 -- sh -c 'yes xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' > /dev/null 2> /tmp/said; echo "NOTE $(tail -c 60 /tmp/said)"
