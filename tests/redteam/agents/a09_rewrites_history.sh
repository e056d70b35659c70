# Rewrites history, its own and another's, by git and by the files of the repository.
# hack: 9
# expect: harmless
# control: outside
git update-ref "$BRANCH" HEAD 2> /dev/null && git -C . commit --quiet --allow-empty -m forged 2> /dev/null && echo "GOT a commit of its own"
git branch --force forged HEAD 2> /dev/null && echo "GOT a branch"
for repo in /aar/repo.git "$RUN/repo.git"; do
    touch "$repo/forged" 2> /dev/null && echo "GOT $repo"
    rm -f "$repo"/refs/heads/forged "$repo"/forged 2> /dev/null
    echo forged > "$repo/config.forged" 2> /dev/null && echo "GOT the configuration of $repo"
done
echo forged >> "$RUN/ledger.jsonl.copy" 2> /dev/null && echo "GOT the run's folder"
echo "NOTE $(git log --oneline -1 2>&1 | head -c 60)"
