"""Small libraries with option tables, compiled from C of our own, for releases that cannot be installed here.

The structs are written out for each group of releases, apart from those of the product, from
glusterfs' libglusterfs/src/options.h and xlator.h at the tags that reconciler/catalogue/layout.py names.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

_FIRST = (
    "char *key[4]; int type; double min; double max; char *value[64]; char *def; char *text; int validate;"
)
_SINCE_4 = "unsigned op_version[4]; unsigned deprecated[4]; unsigned flags; char *tags[64]; char *setkey;"
_ELEVEN = (
    "char *key[4]; int type; int validate; double min; double max; char *value[64]; char *def; char *text;"
)

#: layout -> the members of its option struct
OPTION = {
    "3_12": _FIRST,
    "4_0": f"{_FIRST} {_SINCE_4}",
    "4_1": f"{_FIRST} {_SINCE_4} int level;",
    "5": f"{_FIRST} {_SINCE_4} int level; int category;",
    "11": f"{_ELEVEN} {_SINCE_4} int level; int category;",
}
_FUNCTIONS = "int (*init)(void *); void (*fini)(void *);"
_API_4 = f"unsigned op_version[4]; unsigned flags; unsigned id; char *name; option_t *options; {_FUNCTIONS}"
API = {
    "4_0": _API_4,
    "4_1": _API_4,
    "5": _API_4.replace(_FUNCTIONS, f"int category; {_FUNCTIONS}"),
    "11": f"unsigned op_version[4]; char *name; option_t *options; int category; {_FUNCTIONS}",
}

#: the options of every fixture, as C; `new` and `last` are what only later releases have
_NEW = (
    ".op_version = {40100, 31306}, .deprecated = {90000}, .flags = 1 | 32, "
    '.tags = {"a", "b"}, .setkey = "x.{{ y }}",'
)
_TABLE = """
  {{.key = {{"speed", "velocity"}}, .type = 2, .min = 1, .max = 64, .def = "16", .text = "How fast.", {new}}},
  {{.key = {{"mode"}}, .type = 1, .value = {{"fast", "slow"}}, .def = "slow", {last}}},
  {{.key = {{"limit"}}, .type = 3, .validate = 1, .max = __builtin_inf()}},
  {{.key = {{0}}}},
"""

#: another table: options that administrators may set, as in a library of today
NEW_OPTIONS = """
  {.key = {"speed"}, .type = 2, .min = 1, .max = 64, .flags = 1},
  {.key = {"mode"}, .type = 1, .value = {"fast", "slow"}, .flags = 1},
  {.key = {0}},
"""


def source(layout: str, *, extra: str = "", table: str = "") -> str:
    """Return the C source of a library called ``frob``; `extra` is more C, `table` the options."""
    new = _NEW if layout != "3_12" else ""
    last = {"4_1": ".level = 1", "5": ".level = 1, .category = 3", "11": ".level = 1, .category = 3"}
    rows = table or _TABLE.format(new=new, last=last.get(layout, ""))
    text = f"typedef struct {{ {OPTION[layout]} }} option_t;\n"
    if layout not in API:
        return f"{text}option_t options[] = {{{rows}}};\n{extra}\n"
    category = ".category = 3, " if "category" in API[layout] else ""
    return (
        f"{text}typedef struct {{ {API[layout]} }} api_t;\n"
        f"static option_t table[] = {{{rows}}};\n"
        f'api_t xlator_api = {{.op_version = {{40000}}, .name = "frob", .options = table, {category}}};\n'
        f"{extra}\n"
    )


def build(path: Path, text: str, *flags: str) -> Path:
    """Compile a library; needs no header and no library of the machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-nostdlib", "-x", "c", "-", "-o", str(path), *flags],
        input=text.encode(),
        check=True,
        timeout=60,
    )
    return path


#: what follows `init` and `fini` in xlator_api_t of release 10 (glusterfs 10.3 xlator.h)
_REST = (
    "int (*reconfigure)(void **, void *); void *mem_acct_init, *dump_metrics, *notify;"
    "void *fops, *cbks, *dumpops, *pass_through_fops;"
)
_LOADABLE = """
int dict_get_str(void *, const char *, char **);
int gf_proc_dump_add_section(const char *, ...);
int gf_proc_dump_write(const char *, const char *, ...);
static char mode[64] = "slow";
static int take(void *options) {{
  char *text = 0;
  if (dict_get_str(options, "mode", &text) == 0)
    for (int i = 0; i < 63 && (mode[i] = text[i]); i++);
  return 0;
}}
static int init(void **this) {{ return take(this[7]); }}
static int reconfigure(void **this, void *options) {{ return take(options); }}
static int priv(void **this) {{
  gf_proc_dump_add_section("{name}.private");
  return gf_proc_dump_write("{name}.mode", "%s", mode);
}}
static void *fops[256], *dumpops[16] = {{priv}};
static option_t table[] = {{
  {{.key = {{"mode"}}, .type = 1, .value = {{"fast", "slow"}}, .def = "slow", .op_version = {{100000}},
    .flags = 1 | 32, .text = "How it goes."}},
  {{.key = {{0}}}},
}};
api_t xlator_api = {{
  .op_version = {{100000}}, .name = "{name}", .options = table, .category = 3, .init = init,
  .reconfigure = reconfigure, .fops = fops, .dumpops = dumpops,
}};
"""


def loadable(name: str) -> str:
    """Return the C source of an xlator that a GlusterFS 10 loads: it passes everything through.

    It has one option, ``mode`` (fast or slow), takes a new value while it runs, and tells it in a statedump.
    The eighth pointer of an xlator is its options (xlator.h: struct _xlator).
    """
    api = API["5"].replace("(*init)(void *)", "(*init)(void **)") + _REST
    structs = f"typedef struct {{ {OPTION['5']} }} option_t;\ntypedef struct {{ {api} }} api_t;\n"
    return structs + _LOADABLE.format(name=name)
