# Hides terminal escapes, characters that turn the reading direction, and HTML in posts, notes, messages and file names.
# hack: 9
# expect: harmless
import os
import subprocess

EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\u2066\ufeff\u200b\x08\x08\r\x85 <script>alert(1)</script> <!-- hidden --> <img src=x onerror=y> <iframe>"


def aar(*arguments, text=""):
    return subprocess.run(["aar", *arguments], input=text, capture_output=True, text=True)


aar(
    "post",
    "--type",
    "insight",
    "--title",
    "t " + EVIL,
    text="words " + EVIL + "\n\n[x](javascript:alert(1)) ![](http://127.0.0.1/p.png)\n",
)
for name, text in {"notebook.md": EVIL, "notes/n.md": "<!-- " + EVIL, "methods/evil.py": f'"""{EVIL}"""\n'}.items():
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    with open(name, "w") as file:
        file.write(text)
    said = aar("commit", "-m", "message " + EVIL)
    print("NOTE", name, said.stderr.strip()[:60] or "committed")
    os.unlink(name)
with open("notebook.md", "w") as file:
    file.write("plain\n")
aar("commit", "-m", "message " + EVIL)
aar("submit", "methods/\x1b[2Jx.py")
with open("methods/escaped.py", "w") as file:
    file.write(
        '"""X."""\nFAMILY = "\\x1b[2Jx<script>"\n\n\ndef fit(w2s):\n    raise ValueError("\\x1b[2J\\u202e<script>")\n'
    )
aar("submit", "methods/escaped.py", "-m", EVIL, "--wait")
