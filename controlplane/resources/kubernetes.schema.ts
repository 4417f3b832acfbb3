// The schemas of the Kubernetes kinds. They are open: Kubernetes has checked its own objects, and only what is read
// here is checked again.
import { flag, list, map, openStruct, type Raw, type Schema, text, wholeNumber, word } from "./schema.js";

/** A number, or the name of a container's port; which one is told apart while decoding. */
const targetPort: Schema<number | string> = { type: ["integer", "string", "null"] };
const labels = map(text());

const service = openStruct({
  type: nullable(word("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")),
  externalName: nullable(text()),
  clusterIP: nullable(text()),
  clusterIPs: nullable(list(text())),
  selector: nullable(labels),
  ports: nullable(
    list(
      openStruct(
        {
          name: nullable(text()),
          port: wholeNumber("port"),
          protocol: nullable(word("TCP", "UDP", "SCTP")),
          appProtocol: nullable(text()),
          targetPort,
        },
        ["port"],
      ),
    ),
  ),
  publishNotReadyAddresses: nullable(flag()),
});

const endpoint = openStruct(
  {
    addresses: list(text(), 1),
    conditions: nullable(openStruct({ ready: nullable(flag()) })),
    zone: nullable(text()),
    nodeName: nullable(text()),
    targetRef: nullable(openStruct({ kind: nullable(text()), namespace: nullable(text()), name: nullable(text()) })),
  },
  ["addresses"],
);

const pod = openStruct({
  nodeName: nullable(text()),
  serviceAccountName: nullable(text()),
  containers: nullable(
    list(
      openStruct({
        ports: nullable(
          list(
            openStruct({ name: nullable(text()), containerPort: wholeNumber("port"), protocol: nullable(text()) }, [
              "containerPort",
            ]),
          ),
        ),
      }),
    ),
  ),
});

const podStatus = openStruct({
  phase: nullable(text()),
  podIP: nullable(text()),
  podIPs: nullable(list(openStruct({ ip: nullable(text()) }))),
  conditions: nullable(list(openStruct({ type: nullable(text()), status: nullable(text()) }))),
});

export const serviceSchema = openStruct({ spec: service }, ["spec"]);
export type RawService = Raw<typeof serviceSchema>;

export const endpointSliceSchema = openStruct(
  {
    addressType: word("IPv4", "IPv6", "FQDN"),
    endpoints: nullable(list(endpoint)),
    ports: nullable(
      list(openStruct({ name: nullable(text()), port: nullable(wholeNumber("port")), protocol: nullable(text()) })),
    ),
  },
  ["addressType"],
);
export type RawEndpointSlice = Raw<typeof endpointSliceSchema>;

export const podSchema = openStruct({ spec: nullable(pod), status: nullable(podStatus) });
export type RawPod = Raw<typeof podSchema>;

/** A node or namespace says all that is read here in its metadata. */
export const metadataOnlySchema = openStruct({});

export const secretSchema = openStruct({
  type: nullable(text()),
  data: nullable(map(text())),
  stringData: nullable(map(text())),
});
export type RawSecret = Raw<typeof secretSchema>;

function nullable<T>(schema: Schema<T>): Schema<T> {
  return { ...schema, nullable: true };
}
