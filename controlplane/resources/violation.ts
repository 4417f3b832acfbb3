// Violations: what is wrong with a user's object, where, and what to do about it. Part of the arrow's resources.

/** Where in a file something stands; line and column count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** An error quarantines the object (its last good version keeps serving); a warning does not. */
export type Severity = "error" | "warning";

/** Every code a violation can have. A code is stable: tools match on it. Each has a page in docs/messages/. */
export type ViolationCode = keyof typeof VIOLATION_CODES;

/** The codes with a one-line meaning; the closed union above is read off this table. */
export const VIOLATION_CODES = {
  "yaml-syntax": "The text is not YAML.",
  "yaml-limit": "The file passes a limit on size, depth, documents or aliases.",
  "file-unreadable": "The file cannot be read.",
  "kind-unreadable": "The cluster forbids to read the objects of a kind.",
  "not-an-object": "A document is not a Kubernetes-style object with apiVersion, kind and metadata.name.",
  "unknown-kind": "The apiVersion and kind are none that Headgate reads.",
  "duplicate-object": "Two documents define the same kind, namespace and name.",
  "unknown-field": "The object has a field that its kind does not have.",
  "wrong-type": "A field has a value of another type than its kind says.",
  "missing-field": "A required field is absent.",
  "invalid-value": "A field's value is outside what its documentation allows.",
  "invalid-name": "A name breaks the rules for Kubernetes names or labels.",
  "invalid-host": "A host name, wildcard or address is malformed.",
  "invalid-duration": "A duration is malformed or out of range.",
  "invalid-percentage": "A percentage is not between 0 and 100.",
  "invalid-regex": "A regular expression is not RE2 syntax.",
  "regex-too-large": "A regular expression compiles to more states than the filter accepts.",
  "invalid-port": "A port is not between 1 and 65535, or is used twice.",
  "invalid-weight": "Weights are negative, all zero or too large.",
  "invalid-certificate": "A certificate or key cannot be parsed, or they do not belong together.",
  "conflicting-fields": "Fields are set together that exclude each other.",
  "unsupported-field": "The field is part of the API, but Headgate refuses it rather than ignore it.",
  "deprecated-field": "The field still works; its successor is named.",
  "ignored-field": "The field has no effect where it stands.",
  "unknown-host": "A destination's host is no service in the mesh that the object may see.",
  "unknown-subset": "A destination's subset is defined by no DestinationRule for its host.",
  "unknown-gateway": "A VirtualService names a gateway that does not exist.",
  "unknown-secret": "A credentialName names a secret that does not exist or has the wrong keys.",
  "unknown-port": "A destination's port is none of its service's ports, or must be given and is not.",
  "unknown-route": "A StagedRollout names a VirtualService route that does not exist.",
  "unknown-workload": "A selector selects no workload of the mesh.",
  "unknown-module": "A filter's module cannot be had, or is not the one that its checksum says.",
  "refused-module": "A filter's module is refused: it is none, or does not start with its configuration.",
  "conflicting-virtual-service": "An older VirtualService already configures the same host.",
  "conflicting-destination-rule": "An older DestinationRule already configures the same host or subset.",
  "conflicting-port": "Two objects ask for the same port in incompatible ways.",
  "conflicting-sidecar": "An older Sidecar already applies to the same workloads.",
  "hidden-by-sidecar": "A Sidecar does not import the host that a rule of its namespace is for.",
  "conflicting-rollout": "An older StagedRollout already refines the same route.",
  "conflicting-extension": "Two extensions of one phase and priority apply to the same workloads.",
  "unreachable-rule": "A rule can never be reached: an earlier one matches everything.",
} as const;

/** A fault in a user's object. */
export interface Violation {
  readonly code: ViolationCode;
  readonly severity: Severity;
  /** Says what is wrong and what to do, in one or two sentences; never contains secret material. */
  readonly message: string;
  /** The field, as in spec.http[0].route[1].weight; empty for the document as a whole. */
  readonly path: string;
  readonly position?: Position;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
}
