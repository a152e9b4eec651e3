/* The option tables of GlusterFS's libraries, one pair of structs for each group of releases that shares
 * them; the number in a name is the first of the group (reconciler/catalogue/layout.py says which it holds).
 * Only the beginning of struct api_* is declared: what follows are functions, which are never called.
 *
 * Source: glusterfs libglusterfs/src/options.h (volume_option_t) and xlator.h (xlator_api_t), from 5.0 on in
 * libglusterfs/src/glusterfs/. Input of native/build.py.
 */

struct option_3_12 {
    char *key[4];
    int type;
    double min, max;
    char *value[64];
    char *default_value, *description;
    int validate;
};

struct option_4_0 {
    char *key[4];
    int type;
    double min, max;
    char *value[64];
    char *default_value, *description;
    int validate;
    uint32_t op_version[4], deprecated[4], flags;
    char *tags[64];
    char *setkey;
};

struct option_4_1 {
    char *key[4];
    int type;
    double min, max;
    char *value[64];
    char *default_value, *description;
    int validate;
    uint32_t op_version[4], deprecated[4], flags;
    char *tags[64];
    char *setkey;
    int level;
};

struct option_5 {
    char *key[4];
    int type;
    double min, max;
    char *value[64];
    char *default_value, *description;
    int validate;
    uint32_t op_version[4], deprecated[4], flags;
    char *tags[64];
    char *setkey;
    int level, category;
};

struct option_11 {
    char *key[4];
    int type, validate;
    double min, max;
    char *value[64];
    char *default_value, *description;
    uint32_t op_version[4], deprecated[4], flags;
    char *tags[64];
    char *setkey;
    int level, category;
};

struct api_4_0 {
    uint32_t op_version[4], flags, xlator_id;
    char *identifier;
    struct option_4_0 *options;
};

struct api_4_1 {
    uint32_t op_version[4], flags, xlator_id;
    char *identifier;
    struct option_4_1 *options;
};

struct api_5 {
    uint32_t op_version[4], flags, xlator_id;
    char *identifier;
    struct option_5 *options;
    int category;
};

struct api_11 {
    uint32_t op_version[4];
    char *identifier;
    struct option_11 *options;
    int category;
};

extern char xlator_api, options;
