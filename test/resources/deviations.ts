// What Headgate does otherwise than Istio, on purpose: docs/api-support.md lists it.

export interface Deviation {
  readonly subject: string;
  readonly says: string;
  readonly reason: string;
}

export const DEVIATIONS: readonly Deviation[] = [
  {
    subject: "`http[].fault`",
    says: "A fault does not switch off the rule's timeout and retries, as Istio's does.",
    reason: "Retries can so be tested by faults.",
  },
  {
    subject: "`http[].retries`",
    says: "A rule without it retries only what cannot have reached the workload; one without `retryOn` replays no POST.",
    reason: "See [decision 4](decisions/0004-retries.md).",
  },
  {
    subject: "`destination` that is not there",
    says: "A missing host or subset is a violation, and 503 for that destination alone.",
    reason: "The other rules are no worse for it.",
  },
  {
    subject: "Several VirtualServices for one host",
    says: "On a gateway they merge, oldest first; on sidecars the oldest has the host and the others get a violation.",
    reason: "On sidecars Istio takes one without a word.",
  },
  {
    subject: "A VirtualService's host that no service has",
    says: "Sidecars serve it on every outbound HTTP port, not on port 80 alone.",
    reason: "See [decision 5](decisions/0005-hosts-without-a-service.md).",
  },
  {
    subject: "`http[].match[].authority`",
    says: "The port of the Host header does not take part.",
    reason: "See [decision 6](decisions/0006-the-host-header-keeps-its-port.md).",
  },
  {
    subject: "Regular expressions of `http[].match[]`",
    says: "They compile to tables of bounded size; one that is too large is an error.",
    reason: "A decision then takes time in proportion to the value's length, whatever the expression.",
  },
  {
    subject: "Ports that say no protocol",
    says: "A port of a Service without `appProtocol`, whose name does not begin with a protocol, is read as TCP; its protocol is not detected.",
    reason:
      "Protocols in which the server speaks first need no guess so. http rules for it are told to have no effect.",
  },
  {
    subject: "`ServiceEntry resolution`",
    says: "`DYNAMIC_DNS` is refused.",
    reason: "It is rare, and `DNS` or `NONE` serve most of its uses.",
  },
  {
    subject: "Ports below 1024",
    says: "A proxy that cannot bind them listens 10,000 higher.",
    reason: "See [decision 2](decisions/0002-unprivileged-ports.md).",
  },
  {
    subject: "A proxy with a loopback address",
    says: "Its outbound listeners bind that address.",
    reason: "See [decision 3](decisions/0003-loopback-sidecars.md).",
  },
  {
    subject: "WorkloadGroup",
    says: "Workloads register themselves where the control plane has a directory for them (`serve --registrations`), or writes them to the cluster (`--kube-registrations`).",
    reason:
      "Their entries must outlive the control plane, or its restart would take their traffic away. `probe` is refused: a workload's probe is its agent's.",
  },
];
