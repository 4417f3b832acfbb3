// The CustomResourceDefinitions of the policies' kinds, made from their schemas; `npm run deploy:crds` writes them.
import type { Kind } from "../resources/kinds.js";
import type { Schema } from "../resources/schema.js";
import { stagedRolloutSchema } from "../resources/staged-rollout.schema.js";
import { ISTIO_SCHEMAS } from "../resources/support.js";
import { KUBERNETES_KINDS } from "../sources/kubernetes-kinds.js";
import { structuralSchema } from "./structural-schema.js";

/** What `kubectl get` shows of an object. */
interface Column {
  readonly name: string;
  readonly jsonPath: string;
  readonly type: "string" | "date" | "integer";
}

interface Naming {
  readonly shortNames: readonly string[];
  readonly columns: readonly Column[];
}

/** Istio's short names and columns, so that people's habits keep working. */
const NAMINGS: Readonly<Partial<Record<Kind, Naming>>> = {
  VirtualService: naming("vs", { Gateways: ".spec.gateways", Hosts: ".spec.hosts" }),
  DestinationRule: naming("dr", { Host: ".spec.host" }),
  Gateway: naming("gw", {}),
  ServiceEntry: naming("se", {
    Hosts: ".spec.hosts",
    Location: ".spec.location",
    Resolution: ".spec.resolution",
  }),
  WorkloadEntry: naming("we", { Address: ".spec.address" }),
  WorkloadGroup: naming("wg", {}),
  WasmPlugin: naming("", {}),
  StagedRollout: naming("sr", { VirtualService: ".spec.virtualService", Route: ".spec.route" }),
};

/** What `headgate serve --kube-status` writes. */
const STATUS: readonly Column[] = ["Accepted", "Reconciled"].map((type) => ({
  name: type,
  jsonPath: `.status.conditions[?(@.type=="${type}")].status`,
  type: "string",
}));
const AGE: Column = { name: "Age", jsonPath: ".metadata.creationTimestamp", type: "date" };

/** Of Istio's groups: a cluster that has Istio has these already, and keeps its own. */
export function istioDefinitions(): readonly object[] {
  return ISTIO_SCHEMAS.map(([kind, schema]) => definitionOf(kind, schema, ["istio-io"]));
}

/** Of Headgate's own group. */
export function ownDefinitions(): readonly object[] {
  return [definitionOf("StagedRollout", stagedRolloutSchema, ["headgate"])];
}

/** One version's schema serves all of them: Istio's versions differ in their names alone. */
function definitionOf(kind: Kind, schema: Schema<unknown>, categories: readonly string[]): object {
  const { group, plural, versions } = KUBERNETES_KINDS[kind];
  const { shortNames, columns } = NAMINGS[kind] ?? naming("", {});
  const openAPIV3Schema = {
    type: "object",
    required: ["spec"],
    properties: {
      spec: structuralSchema(schema),
      status: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    },
  };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        categories: [...categories],
        ...(shortNames.length > 0 ? { shortNames: [...shortNames] } : {}),
      },
      versions: versions.map((name, index) => ({
        name,
        served: true,
        storage: index === 0,
        additionalPrinterColumns: [...columns, ...STATUS, AGE],
        subresources: { status: {} },
        schema: { openAPIV3Schema },
      })),
    },
  };
}

function naming(shortName: string, columns: Readonly<Record<string, string>>): Naming {
  return {
    shortNames: shortName === "" ? [] : [shortName],
    columns: Object.entries(columns).map(([name, jsonPath]) => ({ name, jsonPath, type: "string" })),
  };
}
