// An address for what plays a pod: Kubernetes takes none of 127.0.0.0/8 for an endpoint's.
import { networkInterfaces } from "node:os";

/** One of this machine's own addresses, which is reached without leaving it; undefined where it has none. */
export const ownAddress = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal, address }) => family === "IPv4" && !internal && !address.startsWith("169.254."))?.address;
