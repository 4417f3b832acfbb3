// The flags of `headgate serve` that say where versions of filters and their rollouts lie.
import { resolve } from "node:path";
import type { KubeClient } from "../kube/client.js";
import { createFollowedStorage } from "../rollout/cluster-storage.js";
import { createDirectoryStorage } from "../rollout/directory-storage.js";
import type { FollowedStorage } from "../rollout/storage.js";
import type { CommandOption, OptionValues } from "./command.js";
import { FILTERS_NAMESPACE_OPTION, filtersNamespace } from "./filter-options.js";

export const SERVE_FILTERS_OPTIONS: readonly CommandOption[] = [
  {
    flags: "--filters <dir>",
    summary:
      "the directory of `headgate filter`: versions of filters and their rollouts (default with --kube: the cluster)",
  },
  FILTERS_NAMESPACE_OPTION,
];

/** The directory that is named, or else the cluster, if one is read. */
export function openServeFilters(
  options: OptionValues,
  cwd: string,
  client: KubeClient | undefined,
  onNotice: (notice: string) => void,
): FollowedStorage | undefined {
  if (typeof options.filters === "string") return createDirectoryStorage(resolve(cwd, options.filters));
  return client && createFollowedStorage({ client, namespace: filtersNamespace(options), onNotice });
}
