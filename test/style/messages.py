# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""doc/troubleshooting.rst lists what the driver, the server, app/setup and app/demo complain of.

A message is compared by its constant parts: '%u' with its PRI macro, '$name', '{name}' in the
sources and '<name>' in the page are the same, and so are two of them in a row. A name with a colon
in front of a message is left away on both sides. What is passed through as it is ('%s: %s') is no
message.

must be a term of the page   the format of an error or a warning
must occur in the page       a text with a blank that such a message gets as an argument, or that
                             is assigned or returned to become one
may be a term of the page    lines of other levels, too
"""

import ast
import re

import lab

PAGE = lab.ROOT / 'doc/troubleshooting.rst'
C_SOURCES = ('drivers/net/ivshmem/*.[ch]', 'app/ivshmem-server/*.[ch]')
SHELL_SOURCES = ('app/setup', 'app/demo')
# app/demo is these; the errors of what they use have the same classes
PYTHON_SOURCES = ('app/demo_*.py', 'test/common/lab.py', 'test/common/machine.py',
                  'test/vm/channel.py', 'test/vm/devices.py', 'test/vm/guest.py',
                  'test/vm/initramfs.py', 'test/vm/vm.py', 'test/vm/vmset.py')
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|(?P<text>"(?:\\.|[^"\\])*")|'
                   r"'(?:\\.|[^'\\])+'|(?P<word>\w+)|\S", re.S)
CONVERSION = re.compile(r'%[-+ #0]*[\d.*]*(?:(?:hh|h|ll|l|z|j|t)?[a-zA-Z]|(?=<>))')
# name of the call: which argument is the format
C_CALLS = {'IVSHMEM_FAULT': 2, 'IVSHMEM_LOG': 1, 'ivshmem_log': 1}
QUIET = {'INFO', 'NOTICE', 'DEBUG', 'IVSHMEM_LOG_INFO', 'IVSHMEM_LOG_DEBUG'}
HOLE = '<>'


def plain(text):
    """The constant parts of a message, with '<>' for each other part."""
    text = re.sub(r'\s+', ' ', text)
    text = re.sub(r'(<>)+', HOLE, text).strip(' :')
    return re.sub(r'^(<>: )+', '', text)


def is_message(text):
    """Says more than what it passes on."""
    return re.search(r'[a-z]{2}', text.replace(HOLE, '')) is not None


class Found:
    """What sources can say: {message: 'file:line'}."""

    def __init__(self):
        self.terms, self.parts, self.quiet = {}, {}, {}

    def add(self, kind, text, where):
        text = plain(text)
        if is_message(text):
            kind.setdefault(text, where)


# -- C

def tokens(source):
    """(text or word or character, kind, line) of each token, without comments."""
    line, last = 1, 0
    for match in TOKEN.finditer(source):
        line += source.count('\n', last, match.start())
        last = match.start()
        if not match[0].startswith(('//', '/*')):
            yield match[0], match.lastgroup, line


def arguments(stream, start):
    """The arguments of a call, as lists of tokens; stream[start] is its parenthesis."""
    found, depth = [[]], 0
    for token in stream[start:]:
        if token[1] is None and token[0] in '([{':
            depth += 1
            if depth == 1:
                continue
        elif token[1] is None and token[0] in ')]}':
            depth -= 1
            if depth == 0:
                return found
        if depth == 1 and token[0] == ',':
            found.append([])
        else:
            found[-1].append(token)
    return found


def formats(argument):
    """The strings of an argument; more than one where it chooses."""
    texts = ['']
    for text, kind, _ in argument:
        if kind == 'text':
            texts[-1] += text[1:-1].replace('\\"', '"').replace('\\n', ' ')
        elif kind == 'word' and (text.isupper() or text.startswith('PRI')):
            texts[-1] += HOLE    # PRIu32, or a part of a format that has a name
        elif texts[-1]:
            texts.append('')
    return [CONVERSION.sub(HOLE, text) for text in texts if text]


def read_c(name, source, found):
    stream = list(tokens(source))
    for at, (text, kind, line) in enumerate(stream):
        where = f'{name}:{line}'
        if kind == 'word' and text in C_CALLS and stream[at + 1][0] == '(':
            args = arguments(stream, at + 1)
            number = C_CALLS[text]
            if len(args) <= number:
                continue
            words = {token[0] for token in args[number - 1]}
            kinds = (found.quiet,) * 2 if words & QUIET else (found.terms, found.parts)
            for string in formats(args[number]):
                found.add(kinds[0], string, where)
            for string in (x for arg in args[number + 1:] for x in formats(arg) if ' ' in x):
                found.add(kinds[1], string, where)
        elif kind == 'text' and ' ' in text and stream[at - 1][0] in ('=', 'return'):
            found.add(found.parts, ''.join(formats([stream[at]])), where)


# -- shell

def read_shell(name, source, found):
    """die "..." and die_log "..."; say "..." and echo "..." of a failure."""
    call = re.compile(r'\b(die|die_log|say|echo)\s+"((?:\\.|\$\([^)]*\)|[^"\\])*)"'
                      r'(?:[\s\\]+"([^"]*)")?')
    for match in call.finditer(source):
        text = re.sub(r'\$\([^)]*\)|\$\{[^}]*\}|\$\w+', HOLE, match[2])
        if match[1] == 'echo' and match[3] is not None:
            text += ' ' + match[3]
        line = source.count('\n', 0, match.start()) + 1
        loud = match[1] in ('die', 'die_log') or re.search(r'\b(error|failed)', text)
        found.add(found.terms if loud else found.quiet, text, f'{name}:{line}')


# -- Python

def literal(node):
    """The text of an expression, or None: what is not constant is '<>'."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return ''.join(x.value if isinstance(x, ast.Constant) else HOLE for x in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = literal(node.left), literal(node.right)
        return None if sides == (None, None) else ''.join(x or HOLE for x in sides)
    return None


def called(node):
    """The name of the function or method that a call calls."""
    return getattr(node.func, 'attr', getattr(node.func, 'id', None))


def complaints(node):
    """The expressions with which a statement or a call complains."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and \
            called(node.exc) != 'ValueError':
        return node.exc.args[:1]
    if isinstance(node, ast.Call) and called(node) in ('check', 'exit', 'error', '_error'):
        return node.args[called(node) == 'check':][:1]
    if isinstance(node, ast.Call) and 'problems' in ast.unparse(node.func):
        return node.args
    if isinstance(node, (ast.Assign, ast.AugAssign)):
        target = ast.unparse(getattr(node, 'target', None) or node.targets[0])
        if target == 'problems':
            return getattr(node.value, 'elts', None) or [getattr(node.value, 'elt', node.value)]
        return [node.value] if target.endswith("['error']") else []
    return []


def read_python(name, source, found):
    """What is raised, checked, noted as a problem or said at the end: its first line."""
    for node in ast.walk(ast.parse(source)):
        for text in filter(None, map(literal, complaints(node))):
            found.add(found.terms, text.split('\n')[0], f'{name}:{node.lineno}')


# -- the page

def sources():
    found = Found()
    for read, patterns in ((read_c, C_SOURCES), (read_shell, SHELL_SOURCES),
                           (read_python, PYTHON_SOURCES)):
        for pattern in patterns:
            paths = sorted(lab.ROOT.glob(pattern))
            lab.check(paths, f'no file {pattern}')
            for path in paths:
                read(str(path.relative_to(lab.ROOT)), path.read_text(), found)
    return found


def terms(page):
    """{message: line} of the page's definition lists."""
    return {plain(re.sub(r'<[^<>]*>', HOLE, text)): number
            for number, line in enumerate(page.split('\n'), 1)
            for text in re.findall(r'^``(.*)``$', line)}


def complete():
    """Every message is there, with words below it; the page has no others."""
    page = PAGE.read_text()
    found, listed = sources(), terms(page)
    words = plain(re.sub(r'<[^<>]*>', HOLE, page))
    problems = [f'{where}: no entry for: {text}' for text, where in found.terms.items()
                if text not in listed]
    problems += [f'{where}: not mentioned: {text}' for text, where in found.parts.items()
                 if text not in words]
    known = {**found.terms, **found.parts, **found.quiet}
    problems += [f'{PAGE.name}:{number}: nothing says: {text}' for text, number in listed.items()
                 if text not in known]
    lines = page.split('\n')
    problems += [f'{PAGE.name}:{number}: no explanation below the term'
                 for number, line in enumerate(lines, 1) if re.match(r'^``.*``$', line)
                 and not re.match(r'^    \S', lines[number])]
    lab.check(not problems, f'{len(problems)} findings\n' + '\n'.join(problems))


def finds_something():
    """In each kind of source, with its place."""
    found = Found()
    read_c('x.c', '''/* IVSHMEM_LOG(ERR, "no") */
        IVSHMEM_LOG(ERR, "%s: port %04" PRIx32 " has \\"%s\\"%s", name, x, a, b ? "too big" : "");
        ivshmem_log(IVSHMEM_LOG_ERROR, octal ? "an octal" : "a decimal", 1);
        ivshmem_log(IVSHMEM_LOG_INFO, "all is well");
        return IVSHMEM_FAULT(fault, -errno, "%s", strerror(errno));
        wrong = "this and that";''', found)
    lab.check(found.terms == {'port <> has "<>"<>': 'x.c:2', 'an octal': 'x.c:3',
                              'a decimal': 'x.c:3'}, f'C: {found.terms}')
    lab.check(list(found.parts) == ['too big', 'this and that'], f'parts: {found.parts}')
    lab.check(list(found.quiet) == ['all is well'], f'quiet: {found.quiet}')
    found = Found()
    read_shell('x', 'die "no $name in ${x%y}" "hint"\nsay "apt failed"\nsay "going on"', found)
    lab.check(found.terms == {'no <> in <>': 'x:1', 'apt failed': 'x:2'}, f'shell: {found.terms}')
    found = Found()
    read_python('x.py', "lab.check(x, f'{a}: no {b}\\n{c}')\nraise E('bad ' + y)", found)
    lab.check(found.terms == {'no <>': 'x.py:1', 'bad <>': 'x.py:2'}, f'Python: {found.terms}')
    lab.check(terms('``<port>: no <line>``\n    x\n') == {'no <>': 1}, 'a term')


lab.main(finds_something, complete)
