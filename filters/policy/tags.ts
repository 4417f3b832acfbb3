// The names and the layout that the policy compiler (TypeScript) and the filter (AssemblyScript) share; plain constants
// only, because both compilers read this file. docs/policy-format.md explains them.

/** The undecided route's name is this followed by the image's identity: 32 lower-case hexadecimal digits. */
export const ROUTE_NAME_PREFIX = "headgate:";
/** The undecided route's typed metadata holds the image under this key, as a google.protobuf.BytesValue. */
export const IMAGE_METADATA_KEY = "headgate.image";
/** The properties by which the filter reads both, their parts joined by NUL; the second ends in IMAGE_METADATA_KEY. */
export const ROUTE_NAME_PROPERTY = "xds\0route_name";
export const IMAGE_PROPERTY = "xds\0route_metadata\0typed_filter_metadata\0headgate.image";
/** The client's address and port. */
export const SOURCE_ADDRESS_PROPERTY = "source\0address";
/** Envoy's filter state key that the host's route matcher looks at; the filter sets its part after "wasm.". */
export const ROUTE_FILTER_STATE = "wasm.route";
/** The filter's name, root id and VM id. */
export const FILTER_NAME = "headgate.traffic";
/**
 * The upstream filter for faults that are drawn for every try: its name, root id and VM id. It injects what the decided
 * route's typed metadata holds under TRY_FAULT_METADATA_KEY, as a google.protobuf.BytesValue of one record of FAULTS.
 */
export const TRY_FILTER_NAME = "headgate.try";
export const TRY_FAULT_METADATA_KEY = "headgate.fault";
export const TRY_FAULT_PROPERTY = "xds\0route_metadata\0typed_filter_metadata\0headgate.fault";

/** "HGPI", little-endian. */
export const MAGIC = 0x49504748;
export const VERSION = 1;
/** "No such record", in any field that refers to one. */
export const NONE = -1;

// The header's words.
export const HEADER_MAGIC = 0;
export const HEADER_VERSION = 4;
export const HEADER_SIZE_OF_IMAGE = 8;
/** MurmurHash3 (x86, 32 bits, seed 0) of everything from HEADER_IDENTITY on. */
export const HEADER_CHECKSUM = 12;
/** The first 16 bytes of the SHA-256 of everything from HEADER_NEEDS on. */
export const HEADER_IDENTITY = 16;
export const IDENTITY_LENGTH = 16;
/** Which inputs the rules look at: bits NEEDS_*. */
export const HEADER_NEEDS = 32;
/** The table of header names: first record and size (a power of two, or 0) in section NAMES. */
export const HEADER_HEADER_NAMES = 36;
/** The table of query parameter names, likewise. */
export const HEADER_QUERY_NAMES = 44;
/** The directory: offset from the image's start (a multiple of 4) and number of records, for each section. */
export const HEADER_DIRECTORY = 52;

export const SECTION_BYTES = 0;
export const SECTION_SLOTS = 1;
export const SECTION_NAMES = 2;
export const SECTION_EXACTS = 3;
export const SECTION_NODES = 4;
export const SECTION_EDGES = 5;
export const SECTION_KEYS = 6;
export const SECTION_CANDIDATES = 7;
export const SECTION_TABLES = 8;
export const SECTION_TUPLES = 9;
export const SECTION_CLAUSES = 10;
export const SECTION_CONDITIONS = 11;
export const SECTION_REGEXES = 12;
export const SECTION_DFAS = 13;
export const SECTION_TRANSITIONS = 14;
export const SECTION_RULES = 15;
export const SECTION_DESTINATIONS = 16;
export const SECTION_ROUTES = 17;
export const SECTION_FAULTS = 18;
export const SECTION_ROLLOUTS = 19;
export const SECTION_RAMPS = 20;
export const SECTION_WEIGHTS = 21;
export const SECTION_OVERRIDES = 22;
export const SECTION_LABELS = 23;
export const SECTION_COUNT = 24;
/** HEADER_DIRECTORY + 8 * SECTION_COUNT. */
export const HEADER_SIZE = 244;

// The inputs of a request that need no name have fixed slots; the others are named headers and query parameters.
export const SLOT_PATH = 0;
export const SLOT_PATH_LOWER = 1;
export const SLOT_METHOD = 2;
export const SLOT_SCHEME = 3;
export const SLOT_AUTHORITY = 4;
export const FIXED_SLOTS = 5;

export const NEEDS_PATH = 1;
/** Anything but the path; without it the filter asks Envoy for :path alone. */
export const NEEDS_HEADERS = 2;
export const NEEDS_QUERY = 4;
export const NEEDS_LOWER_PATH = 8;
export const NEEDS_AUTHORITY = 16;

// SLOTS: an input that conditions look at.
export const SLOT_NAME = 0;
export const SLOT_NAME_LENGTH = 4;
/** The slot's part of EXACTS: first record and size (a power of two, or 0). */
export const SLOT_EXACTS = 8;
export const SLOT_EXACTS_SIZE = 12;
/** The root of the slot's prefixes in NODES, or NONE. */
export const SLOT_ROOT = 16;
/** The key that holds whenever the input is there, or NONE. */
export const SLOT_PRESENT_KEY = 20;
export const SLOT_STRIDE = 24;

/** NAMES: a slot's index or NONE, in open addressing by MurmurHash3 of the name. */
export const NAME_STRIDE = 4;

// EXACTS: a value and its key, in open addressing by MurmurHash3 of the value; an empty record's key is NONE.
export const EXACT_HASH = 0;
export const EXACT_VALUE = 4;
export const EXACT_LENGTH = 8;
export const EXACT_KEY = 12;
export const EXACT_STRIDE = 16;

// NODES and EDGES: radix trees. A node's edges are sorted by byte and lead to nodes of higher index.
export const NODE_LABEL = 0;
export const NODE_LABEL_LENGTH = 4;
/** The key of the prefix that ends here, or NONE. */
export const NODE_KEY = 8;
export const NODE_EDGES = 12;
export const NODE_EDGE_COUNT = 16;
export const NODE_STRIDE = 20;
export const EDGE_BYTE = 0;
export const EDGE_NODE = 4;
export const EDGE_STRIDE = 8;

// KEYS: one value, prefix or presence on one slot. Key 0 always holds.
/** A prefix's next shorter prefix on the same slot, of lower index; else NONE. */
export const KEY_PARENT = 0;
/** Clauses to try when the key holds: a run of CANDIDATES, rising. */
export const KEY_CANDIDATES = 4;
export const KEY_CANDIDATE_COUNT = 8;
export const KEY_STRIDE = 12;
export const KEY_ALWAYS = 0;

/** CANDIDATES: a clause's index. */
export const CANDIDATE_STRIDE = 4;

// TABLES: hash tables over several keys at once: up to three slots by exact value, and one by prefix.
export const TABLE_EXACT_SLOTS = 0;
export const TABLE_PREFIX_SLOT = 12;
/** The table's part of TUPLES: first record and size (a power of two). */
export const TABLE_TUPLES = 16;
export const TABLE_TUPLES_SIZE = 20;
/** The lowest clause in the table. */
export const TABLE_FIRST_CLAUSE = 24;
export const TABLE_STRIDE = 28;

// TUPLES: three exact keys, a prefix key (NONE where the table has no such slot), and clauses to try.
export const TUPLE_KEYS = 0;
/** An empty record has NONE here. */
export const TUPLE_CANDIDATES = 16;
export const TUPLE_CANDIDATE_COUNT = 20;
export const TUPLE_STRIDE = 24;

// CLAUSES: one alternative of one rule, in the order of the rules; those its keys do not imply come last.
export const CLAUSE_RULE = 0;
export const CLAUSE_CONDITIONS = 4;
export const CLAUSE_RESIDUE = 8;
export const CLAUSE_END = 12;
export const CLAUSE_STRIDE = 16;

// CONDITIONS: a slot, an operation, and its operand: a key, or a record of REGEXES.
export const CONDITION_SLOT = 0;
export const CONDITION_OPERATION = 4;
export const CONDITION_OPERAND = 8;
export const CONDITION_STRIDE = 12;

export const OPERATION_PRESENT = 0;
export const OPERATION_EXACT = 1;
export const OPERATION_PREFIX = 2;
export const OPERATION_REGEX = 3;
/** Added to an operation: the condition holds when the operation does not. */
export const OPERATION_NOT = 4;

// REGEXES: a literal prefix (a key, or NONE), a DFA for the middle, and a literal suffix.
export const REGEX_PREFIX_KEY = 0;
export const REGEX_PREFIX_LENGTH = 4;
export const REGEX_SUFFIX = 8;
export const REGEX_SUFFIX_LENGTH = 12;
export const REGEX_DFA = 16;
export const REGEX_STRIDE = 20;

// DFAS: 256 bytes of classes in BYTES, and states * classes target states of 16 bits in TRANSITIONS. State 0 is dead.
export const DFA_CLASSES = 0;
export const DFA_CLASS_COUNT = 4;
export const DFA_STATE_COUNT = 8;
export const DFA_START = 12;
/** States from this one on accept. */
export const DFA_ACCEPT_FROM = 16;
export const DFA_TRANSITIONS = 20;
export const DFA_STRIDE = 24;
export const TRANSITION_STRIDE = 2;

export const RULE_DESTINATIONS = 0;
export const RULE_DESTINATION_COUNT = 4;
/** The sum of the destinations' weights. */
export const RULE_TOTAL_WEIGHT = 8;
export const RULE_FAULT = 12;
export const RULE_ROLLOUT = 16;
export const RULE_STRIDE = 20;

export const DESTINATION_ROUTE = 0;
export const DESTINATION_WEIGHT = 4;
export const DESTINATION_LABEL = 8;
export const DESTINATION_STRIDE = 12;

// ROUTES: the distinct route ids, in BYTES.
export const ROUTE_ID = 0;
export const ROUTE_ID_LENGTH = 4;
export const ROUTE_STRIDE = 8;

// LABELS: the distinct labels of destinations, in BYTES, and the MurmurHash3 of each.
export const LABEL_TEXT = 0;
export const LABEL_LENGTH = 4;
export const LABEL_HASH = 8;
export const LABEL_STRIDE = 12;

// FAULTS. Odds are in millionths: 1,000,000 is always.
export const ODDS_ALWAYS = 1000000;
export const FAULT_DELAY_ODDS = 0;
export const FAULT_DELAY_MILLIS = 4;
export const FAULT_ABORT_ODDS = 8;
/** 200 to 599. */
export const FAULT_ABORT_STATUS = 12;
/** 0 to 16, or NONE for an HTTP status alone. */
export const FAULT_GRPC_STATUS = 16;
/** 1: drawn for every try, by the same module in the upstream filter chain. */
export const FAULT_PER_TRY = 20;
/** Milliseconds since the epoch, 64 bits; 0 is never. */
export const FAULT_EXPIRES = 24;
export const FAULT_STRIDE = 32;

// ROLLOUTS.
export const ROLLOUT_KEY = 0;
/** The slot of the header or query parameter; a cookie's is the header "cookie". */
export const ROLLOUT_KEY_SLOT = 4;
/** A cookie's name. */
export const ROLLOUT_COOKIE = 8;
export const ROLLOUT_COOKIE_LENGTH = 12;
/** MurmurHash3 of the salt: the seed of the hash over the key. */
export const ROLLOUT_SEED = 16;
export const ROLLOUT_RAMPS = 20;
export const ROLLOUT_RAMP_COUNT = 24;
/** The slot of the header that pins a request to a destination, or NONE. */
export const ROLLOUT_OVERRIDE_SLOT = 28;
export const ROLLOUT_OVERRIDES = 32;
export const ROLLOUT_OVERRIDE_COUNT = 36;
export const ROLLOUT_STRIDE = 40;

export const STICKY_NONE = 0;
export const STICKY_SLOT = 1;
export const STICKY_COOKIE = 2;
export const STICKY_SOURCE_ADDRESS = 3;

// RAMPS: a breakpoint, in rising time; its weights are a run of WEIGHTS, one for each destination of the rule.
export const RAMP_AT = 0;
export const RAMP_WEIGHTS = 8;
export const RAMP_STRIDE = 12;
export const WEIGHT_STRIDE = 4;

// OVERRIDES: an exact key on the override's slot, and the destination's index within the rule.
export const OVERRIDE_KEY = 0;
export const OVERRIDE_DESTINATION = 4;
export const OVERRIDE_STRIDE = 8;
