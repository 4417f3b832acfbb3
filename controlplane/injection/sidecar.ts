// What is put into a pod: the sidecar as a native one, what captures the pod's traffic for it, and what it shows of itself.
import { isIP } from "node:net";

export interface InjectionSettings {
  /** Has Headgate in /headgate, Envoy on its PATH, and iptables. */
  readonly image: string;
  /** host:port at which sidecars reach the control plane. */
  readonly ads: string;
  /** PEM of the authority of the control plane's certificate; without it ADS is plaintext, and no token is shown. */
  readonly adsCa?: string;
  /** Whom the sidecars' tokens are meant for. */
  readonly audience: string;
}

/** As much of a pod as counts here. */
export interface Pod {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: {
    readonly hostNetwork?: boolean;
    readonly initContainers?: readonly { readonly name?: string }[];
    readonly containers?: readonly { readonly name?: string }[];
    readonly volumes?: readonly { readonly name?: string }[];
  };
}

export interface Sidecar {
  /** In the order in which they start, all of them before the pod's own. */
  readonly initContainers: readonly object[];
  readonly volumes: readonly object[];
  readonly annotations: Readonly<Record<string, string>>;
}

export const SIDECAR = "headgate-proxy";
export const CAPTURE = "headgate-capture";
export const CAPTURE_ANNOTATION = "headgate.dev/capture";
export const CAPTURE_ARGS_ANNOTATION = "headgate.dev/capture-args";
const CA_ANNOTATION = "headgate.dev/ads-ca";
const CREDENTIALS = { name: "headgate-credentials", mountPath: "/var/run/headgate", readOnly: true } as const;
const SCRATCH = { name: "headgate-tmp", mountPath: "/tmp" } as const;
/** Envoy's own connections are told apart from the workload's by it. */
const USER = 1337;
const STATUS_PORT = 15_021;
const TOKEN_SECONDS = 3_600;
const CONFINED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  seccompProfile: { type: "RuntimeDefault" },
} as const;
/** The pod's name and address are not known yet when it is written. */
const ENVIRONMENT = Object.entries({
  POD_NAME: "metadata.name",
  POD_NAMESPACE: "metadata.namespace",
  POD_IP: "status.podIP",
  SERVICE_ACCOUNT: "spec.serviceAccountName",
}).map(([name, fieldPath]) => ({ name, valueFrom: { fieldRef: { fieldPath } } }));

export function sidecarOf(pod: Pod, settings: InjectionSettings): Sidecar {
  const { [CAPTURE_ANNOTATION]: capture, [CAPTURE_ARGS_ANNOTATION]: captureArgs = "" } =
    pod.metadata?.annotations ?? {};
  const isCaptured = capture !== "none";
  const proxy = proxyContainer(pod.metadata?.labels ?? {}, isCaptured, settings);
  return {
    initContainers: isCaptured ? [captureContainer(settings.image, captureArgs), proxy] : [proxy],
    volumes: [
      { name: SCRATCH.name, emptyDir: {} },
      ...(settings.adsCa === undefined ? [] : [credentialsVolume(settings.audience)]),
    ],
    annotations: settings.adsCa === undefined ? {} : { [CA_ANNOTATION]: settings.adsCa },
  };
}

function proxyContainer(
  labels: Readonly<Record<string, string>>,
  isCaptured: boolean,
  { image, ads, adsCa }: InjectionSettings,
): object {
  const identity = [
    "--role",
    "sidecar",
    "--name",
    "$(POD_NAME)",
    "--namespace",
    "$(POD_NAMESPACE)",
    "--ip",
    "$(POD_IP)",
  ];
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  const credentials = [
    "--ads-ca",
    `${CREDENTIALS.mountPath}/ads-ca.pem`,
    "--ads-token-file",
    `${CREDENTIALS.mountPath}/token`,
  ];
  const ready = { httpGet: { path: "/healthz/ready", port: STATUS_PORT } };
  return {
    name: SIDECAR,
    image,
    restartPolicy: "Always",
    command: ["node", "/headgate/bin/headgate.mjs", "proxy"],
    args: [
      ...identity,
      ...["--service-account", "$(SERVICE_ACCOUNT)", "--labels", pairs.join(",")],
      ...["--interception-mode", isCaptured ? "REDIRECT" : "NONE", "--status", `0.0.0.0:${STATUS_PORT}`],
      ...["--ads", ads, ...(adsCa === undefined ? [] : credentials)],
    ],
    env: ENVIRONMENT,
    ports: [{ name: "headgate-status", containerPort: STATUS_PORT, protocol: "TCP" }],
    // The workload starts once the sidecar can carry its traffic.
    startupProbe: { ...ready, periodSeconds: 1, failureThreshold: 600 },
    readinessProbe: { ...ready, periodSeconds: 2, failureThreshold: 2 },
    resources: { requests: { cpu: "50m", memory: "128Mi" } },
    securityContext: {
      ...CONFINED,
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      capabilities: { drop: ["ALL"] },
    },
    volumeMounts: [SCRATCH, ...(adsCa === undefined ? [] : [CREDENTIALS])],
  };
}

function captureContainer(image: string, args: string): object {
  return {
    name: CAPTURE,
    image,
    command: ["/headgate/envoy/capture.sh"],
    args: ["--proxy-uid", String(USER), ...args.split(/\s+/).filter(Boolean)],
    env: [{ name: "XTABLES_LOCKFILE", value: `${SCRATCH.mountPath}/xtables.lock` }],
    resources: { requests: { cpu: "10m", memory: "16Mi" } },
    securityContext: {
      ...CONFINED,
      runAsNonRoot: false,
      runAsUser: 0,
      runAsGroup: 0,
      capabilities: { drop: ["ALL"], add: ["NET_ADMIN", "NET_RAW"] },
    },
    volumeMounts: [SCRATCH],
  };
}

/** The kubelet renews the token; the authority's certificate comes by the pod's annotation, so that no namespace needs it. */
function credentialsVolume(audience: string): object {
  const annotation = { fieldPath: `metadata.annotations['${CA_ANNOTATION}']` };
  return {
    name: CREDENTIALS.name,
    projected: {
      sources: [
        { serviceAccountToken: { path: "token", audience, expirationSeconds: TOKEN_SECONDS } },
        { downwardAPI: { items: [{ path: "ads-ca.pem", fieldRef: annotation }] } },
      ],
    },
  };
}

/** Undefined for an ads that a pod can reach, else what is wrong with it. */
export function adsFault(ads: string): string | undefined {
  const host = ads.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  const isOwn = host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
  return isOwn ? `${ads} is the pod itself: write the control plane's Service` : undefined;
}
