"""An interpreter of its own for the expressions of `snippets`."""


class Walk:
    """Evaluates one expression, token by token."""

    def __init__(self, tokens, names):
        self.tokens, self.at, self.names = tokens, 0, names

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *wanted):
        if wanted and self.peek() not in wanted:
            return None
        self.at += 1
        return self.tokens[self.at - 1]

    def test(self):
        value = self.compare()
        while self.take("and"):
            other = self.compare()
            value = value and other
        return value

    def compare(self):
        left = self.sum()
        sign = self.take("<", ">", "<=", ">=", "==", "!=")
        if not sign:
            return left
        right = self.sum()
        return {
            "<": left < right,
            ">": left > right,
            "<=": left <= right,
            ">=": left >= right,
            "==": left == right,
        }.get(sign, left != right)

    def sum(self):
        value = self.product()
        while self.take("+"):
            value += self.product()
        return value

    def product(self):
        value = self.one()
        while sign := self.take("*", "//", "%"):
            other = self.one()
            value = value * other if sign == "*" else value // other if sign == "//" else value % other
        return value

    def one(self):
        if self.take("-"):
            return -self.one()
        if self.take("["):
            return self.collected()
        word = self.take()
        if word.isdigit():
            return int(word)
        if word == "(":
            value = self.test()
            self.take(")")
            return value
        if self.peek() == "(":
            return self.called(word)
        value = self.names[word]
        return self.sliced(value) if self.peek() == "[" else value

    def sliced(self, value):
        end = self.tokens.index("]", self.at)
        shape, self.at = "".join(self.tokens[self.at : end + 1]), end + 1
        return {"[1:]": value[1:], "[:-1]": value[:-1], "[::2]": value[::2]}[shape]

    def collected(self):
        start, depth, end = self.at, 0, self.at
        while self.tokens[end] != "]" or depth:
            depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(self.tokens[end], 0)
            end += 1
        inside, self.at = self.tokens[start:end], end + 1
        where = inside.index("for")
        rest = inside[where + 3 :]
        kept = rest.index("if") if "if" in rest else len(rest)
        return self.each(inside[:where], inside[where + 1], Walk(rest[:kept], self.names).test(), rest[kept + 1 :])

    def each(self, value, name, items, test):
        found = []
        for item in items:
            names = {**self.names, name: item}
            if not test or Walk(test, names).test():
                found.append(Walk(value, names).test())
        return found

    def called(self, word):
        self.take("(")
        if word in ("map", "filter"):
            self.take("lambda")
            name, start = self.take(), self.at + 1
            depth, end = 0, start
            while self.tokens[end] != "," or depth:
                depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(self.tokens[end], 0)
                end += 1
            inside, self.at = self.tokens[start:end], end + 1
            items = self.test()
            self.take(")")
            return self.each(inside, name, items, []) if word == "map" else self.each([name], name, items, inside)
        value = self.test()
        if self.take(","):
            self.at += 3  # default = 0
        self.take(")")
        if word in ("max", "min"):
            return (max if word == "max" else min)(value, default=0)
        return APPLY[word](value)
