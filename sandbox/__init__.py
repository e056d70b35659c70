"""The walls: bubblewrap, seccomp, limits, and the escape attempts that prove them."""
